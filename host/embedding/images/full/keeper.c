/* Keeps the daemon running, as a service manager would: starts it again when it ends, ends it when it gives no sign of life, and feeds the
 * machine's watchdog as long as it does. So a machine whose daemon cannot be had back starts again.
 *
 *   keeper [--watchdog FILE] COMMAND...       SIGUSR1: starts it again at once. /run/ready: there while it serves */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOCKET "/run/keeper.sock"
#define READY "/run/ready"
/* Without a sign of life for so long the daemon is ended. */
#define SILENT_MS 10000
/* Until it is ready it may take longer: PATHMANAGER_START_S, which the kernel hands on from its command line, in seconds. */
#define START_S 120
#define AGAIN_MS 1000

static volatile sig_atomic_t restart_asked, child_ended;

static void on_signal(int number) {
  if (number == SIGUSR1) restart_asked = 1;
  else child_ended = 1;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void stop(const char *what) {
  fprintf(stderr, "keeper: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int listen_for_signs(void) {
  struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = SOCKET};
  int end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  unlink(SOCKET);
  if (end < 0 || bind(end, (struct sockaddr *)&name, sizeof name) < 0) stop(SOCKET);
  return end;
}

static void touch(const char *file, const char *text) {
  int descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0 || write(descriptor, text, strlen(text)) < 0) fprintf(stderr, "keeper: %s: %s\n", file, strerror(errno));
  if (descriptor >= 0) close(descriptor);
}

static pid_t start(char **command) {
  pid_t child = fork();
  if (child != 0) return child;
  char text[24];
  snprintf(text, sizeof text, "%d", (int)getpid());
  setenv("NOTIFY_SOCKET", SOCKET, 1);
  setenv("WATCHDOG_PID", text, 1);
  snprintf(text, sizeof text, "%d", SILENT_MS * 1000);
  setenv("WATCHDOG_USEC", text, 1);
  execvp(command[0], command);
  fprintf(stderr, "keeper: %s: %s\n", command[0], strerror(errno));
  _exit(127);
}

/* Reads what has come; whether one was a sign of life. */
static bool hear(int end, int64_t started_ms, bool *ready) {
  char text[256];
  bool alive = false;
  for (ssize_t bytes; (bytes = recv(end, text, sizeof text - 1, 0)) >= 0;) {
    text[bytes] = 0;
    if (strstr(text, "READY=1") != NULL && !*ready) {
      *ready = alive = true;
      printf("keeper: ready after %lld ms\n", (long long)(now_ms() - started_ms));
      touch(READY, "");
    }
    if (strstr(text, "WATCHDOG=1") != NULL) alive = true;
  }
  return alive;
}

/* When there was a sign of life; the start of a daemon is none, or one that ends at once would be food for ever. */
static int64_t sign_ms;
static int64_t start_limit_ms;

/* From the start of the daemon to its end. */
static void keep(char **command, int end, int watchdog) {
  int64_t started_ms = now_ms();
  bool ready = false, stopped = false, aborted = false;
  pid_t child = start(command);
  if (child < 0) stop("fork");
  child_ended = 0;
  for (int status;;) {
    poll(&(struct pollfd){.fd = end, .events = POLLIN}, 1, 500);
    if (hear(end, started_ms, &ready)) sign_ms = now_ms();
    int64_t now = now_ms(), silent_ms = now - (sign_ms > started_ms ? sign_ms : started_ms);
    int64_t limit_ms = ready ? SILENT_MS : start_limit_ms;
    bool well = silent_ms < limit_ms;
    if (now - sign_ms < limit_ms && watchdog >= 0 && write(watchdog, "", 1) < 0) perror("keeper: watchdog");
    if (restart_asked && !stopped) {
      stopped = true;
      kill(child, SIGTERM);
    } else if (!well && !aborted) {
      aborted = true;
      fprintf(stderr, "keeper: no sign of life for %lld ms\n", (long long)silent_ms);
      kill(child, SIGABRT);
    }
    if (waitpid(child, &status, WNOHANG) != child) continue;
    unlink(READY);
    printf("keeper: the daemon ended with %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return;
  }
}

int main(int count, char **words) {
  int watchdog = -1, at = 1;
  if (count > 2 && strcmp(words[1], "--watchdog") == 0) {
    watchdog = open(words[2], O_WRONLY | O_CLOEXEC);
    at = 3;
  }
  if (at >= count) {
    fprintf(stderr, "usage: keeper [--watchdog FILE] COMMAND...\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGCHLD, &action, NULL);
  char text[24];
  snprintf(text, sizeof text, "%d\n", (int)getpid());
  touch("/run/keeper.pid", text);
  int end = listen_for_signs();
  const char *seconds = getenv("PATHMANAGER_START_S");
  start_limit_ms = (seconds == NULL || atoi(seconds) <= 0 ? START_S : atoi(seconds)) * INT64_C(1000);
  sign_ms = now_ms();
  for (;;) {
    keep(words + at, end, watchdog);
    if (restart_asked) sign_ms = now_ms();
    else poll(NULL, 0, AGAIN_MS);
    restart_asked = 0;
  }
}
