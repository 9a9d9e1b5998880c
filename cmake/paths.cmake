# Where things are installed: CMake's GNUInstallDirs, but for one rule that it
# keeps only half: what belongs to /usr has its configuration in /etc.  With
# this a relative "etc" means the same to install() as to the programs.
include(GNUInstallDirs)

if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND
		NOT IS_ABSOLUTE "${CMAKE_INSTALL_SYSCONFDIR}")
	set(CMAKE_INSTALL_SYSCONFDIR ${CMAKE_INSTALL_FULL_SYSCONFDIR})
endif()

install(FILES README.md CHANGELOG.md LICENSE docs/design.md
	DESTINATION ${CMAKE_INSTALL_DOCDIR})
