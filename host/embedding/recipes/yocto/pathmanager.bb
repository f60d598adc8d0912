SUMMARY = "PathManager: the SCSI multipath daemon and its commands"
SECTION = "base"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=@LICENSE_MD5@"

inherit cargo systemd

# The folder or address of the package, which `npm pack` makes. Its JavaScript is compiled, its dependencies are bundled.
PATHMANAGER_SITE ?= "file:///srv/pathmanager"
SRC_URI = "${PATHMANAGER_SITE}/pathmanager-${PV}.tgz"
SRC_URI[sha256sum] = "@PACKAGE_SHA256@"
require pathmanager-crates.inc

S = "${WORKDIR}/package"
CARGO_SRC_DIR = "host/native"

# nodejs 24 or later (meta-oe).
RDEPENDS:${PN} = "nodejs"
RRECOMMENDS:${PN} = "kernel-module-nbd kernel-module-sg"

SYSTEMD_SERVICE:${PN} = "pathmanagerd.service"

do_install() {
    install -d ${D}${libdir}/pathmanager/host/cli ${D}${bindir} ${D}${systemd_system_unitdir}
    cp -R --no-dereference --preserve=mode ${S}/dist ${S}/node_modules ${S}/package.json ${D}${libdir}/pathmanager/
    cp -R --no-dereference --preserve=mode ${S}/host/cli/bin ${D}${libdir}/pathmanager/host/cli/
    # The addon of the machine the package was made on gives way to the target's.
    rm -rf ${D}${libdir}/pathmanager/dist/host/native/prebuilt
    install -d ${D}${libdir}/pathmanager/dist/build/native
    install -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/libpathmanager_native.so \
        ${D}${libdir}/pathmanager/dist/build/native/pathmanager.node
    for command in pathmanagerd pathctl pathpersist spscmd; do
        ln -s ../lib/pathmanager/host/cli/bin/$command.js ${D}${bindir}/$command
    done
    for service in pathmanagerd pathmanager-give-up; do
        install -m 0644 ${S}/host/cli/packaging/$service.service ${D}${systemd_system_unitdir}/
        sed -i -e 's,/usr/sbin/pathmanagerd,${bindir}/pathmanagerd,' ${D}${systemd_system_unitdir}/$service.service
    done
}

FILES:${PN} += "${libdir}/pathmanager ${systemd_system_unitdir}"
INSANE_SKIP:${PN} += "already-stripped"
GROUPADD_PARAM:${PN} = "--system pathmanager"
USERADD_PACKAGES = "${PN}"
inherit useradd
