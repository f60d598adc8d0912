/*
 * A preloaded wrapper around ptrace(2) for user-mode-linux 6.1, so that it boots on processors with a large XSAVE area.
 *
 * UML keeps the extended register state of a guest process in a buffer of fixed size (2,696 bytes: up to PKRU) and hands
 * exactly that to PTRACE_SETREGSET(NT_X86_XSTATE). A host kernel takes only a buffer of the whole user state (x86
 * xstateregs_set(): anything shorter is EFAULT), which is larger where the processor has AMX (11,008 bytes): UML then dies at
 * its first process with "ptrace set fp regs failed, errno = 14". Reading is not the problem: PTRACE_GETREGSET truncates.
 *
 * The wrapper hands over a buffer of the size that the host wants. It holds what UML gave; every state component that does
 * not lie wholly within UML's buffer returns to its initial state, which XSTATE_BV says by a zero bit (Intel SDM volume 1,
 * 13.4.2 and 13.6). So a guest program that uses such a component (AMX tiles) would lose it at a switch of processes. That
 * cannot happen unnoticed with AMX: it needs arch_prctl(ARCH_REQ_XCOMP_PERM), which the guest kernel does not know.
 *
 * It also adds PTRACE_O_EXITKILL to what UML asks for: when UML is killed, none of its guest processes stays behind.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define XSTATE_REGSET 0x202
/* Offset of XSTATE_BV, the first field of the XSAVE header, which follows the 512 bytes of the legacy region. */
#define XSTATE_BV_OFFSET 512
#define XSAVE_HEADER_END 576
#define AREA_BYTES_MAX 65536
#define XSAVE_LEAF 0xd

/* UML traces from one thread only; its helper threads do not call ptrace. */
static unsigned char area[AREA_BYTES_MAX] __attribute__((aligned(64)));
static size_t host_area_bytes;

/* The bits of XSTATE_BV whose components lie wholly within the first `bytes` bytes of an area in standard format. */
static uint64_t components_within(size_t bytes)
{
	uint64_t mask = 3; /* x87 and SSE: the legacy region */
	for (unsigned component = 2; component < 63; component++) {
		unsigned size = 0, offset = 0, flags = 0, unused = 0;
		if (!__get_cpuid_count(XSAVE_LEAF, component, &size, &offset, &flags, &unused) || size == 0)
			continue;
		int supervisor = flags & 1;
		if (!supervisor && (size_t)offset + size <= bytes)
			mask |= (uint64_t)1 << component;
	}
	return mask;
}

/* How many bytes the host wants, which it tells by how many it gives; 0 with errno set when it does not say. */
static size_t ask_host_area_bytes(pid_t pid)
{
	struct iovec whole = { area, sizeof area };
	if (syscall(SYS_ptrace, PTRACE_GETREGSET, (long)pid, (void *)XSTATE_REGSET, &whole) < 0)
		return 0;
	return whole.iov_len;
}

static long set_extended_state(pid_t pid, struct iovec *given)
{
	if (host_area_bytes == 0 && (host_area_bytes = ask_host_area_bytes(pid)) == 0)
		return -1;
	if (given->iov_len >= host_area_bytes || given->iov_len < XSAVE_HEADER_END)
		return syscall(SYS_ptrace, PTRACE_SETREGSET, (long)pid, (void *)XSTATE_REGSET, given);

	static size_t mask_for_bytes;
	static uint64_t mask;
	if (mask_for_bytes != given->iov_len) {
		mask = components_within(given->iov_len);
		mask_for_bytes = given->iov_len;
	}
	memset(area + given->iov_len, 0, host_area_bytes - given->iov_len);
	memcpy(area, given->iov_base, given->iov_len);
	uint64_t components;
	memcpy(&components, area + XSTATE_BV_OFFSET, sizeof components);
	components &= mask;
	memcpy(area + XSTATE_BV_OFFSET, &components, sizeof components);
	struct iovec whole = { area, host_area_bytes };
	return syscall(SYS_ptrace, PTRACE_SETREGSET, (long)pid, (void *)XSTATE_REGSET, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list rest;
	va_start(rest, request);
	pid_t pid = va_arg(rest, pid_t);
	void *address = va_arg(rest, void *);
	void *data = va_arg(rest, void *);
	va_end(rest);

	switch ((int)request) {
	case PTRACE_SETREGSET:
		if ((uintptr_t)address == XSTATE_REGSET)
			return set_extended_state(pid, data);
		break;
	case PTRACE_SETOPTIONS:
		data = (void *)((uintptr_t)data | PTRACE_O_EXITKILL);
		break;
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
	case PTRACE_PEEKUSER: {
		/* The system call stores the word; the library function returns it, and errno tells -1 from a failure. */
		long word = 0;
		if (syscall(SYS_ptrace, request, (long)pid, address, &word) < 0)
			return -1;
		errno = 0;
		return word;
	}
	}
	return syscall(SYS_ptrace, request, (long)pid, address, data);
}
