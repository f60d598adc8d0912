################################################################################
#
# pathmanager
#
################################################################################

PATHMANAGER_VERSION = @VERSION@
PATHMANAGER_SOURCE = pathmanager-embedded-$(PATHMANAGER_VERSION).tar.gz
PATHMANAGER_SITE = $(call qstrip,$(BR2_PACKAGE_PATHMANAGER_SITE))
PATHMANAGER_LICENSE = Apache-2.0
PATHMANAGER_LICENSE_FILES = @LICENCES@
PATHMANAGER_INSTALL_STAGING = YES
PATHMANAGER_HEADERS = pathmanager.h pathmanager_core.h core.h port_memory.h port_sg.h
PATHMANAGER_CHECKS = $(if $(BR2_PACKAGE_PATHMANAGER_GUARD_PAGES),guard,bounds)

define PATHMANAGER_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D) $(TARGET_CONFIGURE_OPTS) CHECKS=$(PATHMANAGER_CHECKS) BUILD=$(@D)/build all
endef

define PATHMANAGER_INSTALL_STAGING_CMDS
	$(INSTALL) -D -m 0644 $(@D)/build/libpathmanager.a $(STAGING_DIR)/usr/lib/libpathmanager.a
	$(foreach header,$(PATHMANAGER_HEADERS),\
		$(INSTALL) -D -m 0644 $(@D)/$(header) $(STAGING_DIR)/usr/include/pathmanager/$(header)
	)
endef

ifeq ($(BR2_PACKAGE_PATHMANAGER_EXAMPLES),y)
define PATHMANAGER_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/build/example $(TARGET_DIR)/usr/bin/pathmanager-example
	$(INSTALL) -D -m 0755 $(@D)/build/selftest $(TARGET_DIR)/usr/bin/pathmanager-selftest
endef
endif

$(eval $(generic-package))
