SUMMARY = "PathManager's core as a C library: SCSI multipath in firmware"
SECTION = "libs"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "@LIC_FILES_CHKSUM@"

# The folder or address of the tarball, which `npm run build:embedding` makes.
PATHMANAGER_SITE ?= "file:///srv/pathmanager"
SRC_URI = "${PATHMANAGER_SITE}/pathmanager-embedded-${PV}.tar.gz"
SRC_URI[sha256sum] = "@KIT_SHA256@"

S = "${WORKDIR}/pathmanager-embedded-${PV}"
B = "${WORKDIR}/build"

# guard: a third faster, reserves 8 GiB of addresses (64 bits, overcommit).
PATHMANAGER_CHECKS ?= "bounds"
EXTRA_OEMAKE = "'CC=${CC}' 'AR=${AR}' 'CFLAGS=${CFLAGS}' 'LDFLAGS=${LDFLAGS}' 'CHECKS=${PATHMANAGER_CHECKS}' 'BUILD=${B}'"

do_compile() {
    oe_runmake -C ${S} all
}

do_install() {
    install -d ${D}${libdir} ${D}${includedir}/pathmanager ${D}${bindir}
    install -m 0644 ${B}/libpathmanager.a ${D}${libdir}/
    for header in pathmanager.h pathmanager_core.h core.h port_memory.h port_sg.h; do
        install -m 0644 ${S}/$header ${D}${includedir}/pathmanager/
    done
    install -m 0755 ${B}/example ${D}${bindir}/pathmanager-example
    install -m 0755 ${B}/selftest ${D}${bindir}/pathmanager-selftest
}

PACKAGES =+ "${PN}-examples"
FILES:${PN}-examples = "${bindir}/pathmanager-example ${bindir}/pathmanager-selftest"
ALLOW_EMPTY:${PN} = "1"
