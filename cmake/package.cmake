# The Debian package, by CPack.  ./dev package makes it; by hand: cmake, cmake
# --build and cpack, each with --preset package.
#
# What goes in is what install() says.  package_tree.cmake then makes of it what
# Debian wants to see; the maintainer scripts are in systemd/debian/.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME srvd)
set(CPACK_PACKAGE_VENDOR "the srvd authors")
set(CPACK_PACKAGE_CONTACT "srvd maintainers <maintainers@srvd.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY
	"TCP gateway whose connections outlive its processes")
set(CPACK_PACKAGE_DESCRIPTION
"srvd listens on TCP and Unix-domain sockets and relays each connection to one
of several backends, over IPv4, IPv6 or a Unix-domain socket.  It is meant for
long-lived connections: databases, caches, message brokers, chat, SSH.
.
A worker process may crash or be killed: the connections that it carried go on,
byte for byte.  A reload changes services, listeners and backends as a whole or
not at all, and closes no established connection.
.
srvctl shows and changes what the running gateway does.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES TRUE)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# Lower than what a distribution would begin with: its package replaces this.
set(CPACK_DEBIAN_PACKAGE_RELEASE 0srvd1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
# The libraries are found by dpkg-shlibdeps; the other is for postinst.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS TRUE)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "logrotate")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION TRUE)
set(debian ${PROJECT_SOURCE_DIR}/systemd/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
	${debian}/postinst ${debian}/prerm ${debian}/postrm
	${PROJECT_BINARY_DIR}/debian/conffiles)

# For package_tree.cmake, which sees nothing but names that begin with CPACK.
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package_tree.cmake)
set(CPACK_SRVD_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_SRVD_DEBIAN ${debian})
set(CPACK_SRVD_CONFFILES ${PROJECT_BINARY_DIR}/debian/conffiles)

include(CPack)
