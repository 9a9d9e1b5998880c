# Runs in cpack, between the installation into a tree and the package: what
# Debian does to any tree.  Names in here are CPack's, or CPACK_SRVD_….
if(NOT CPACK_SRVD_PREFIX STREQUAL "/usr")
	message(FATAL_ERROR "this build looks for its files under "
		"${CPACK_SRVD_PREFIX}; a package is for /usr: ./dev package")
endif()

set(tree ${CPACK_TEMPORARY_INSTALL_DIRECTORY})
set(doc ${tree}/usr/share/doc/${CPACK_PACKAGE_NAME})
set(version ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})

# The licence is in copyright.
file(REMOVE ${doc}/LICENSE)
file(COPY_FILE ${CPACK_SRVD_DEBIAN}/copyright ${doc}/copyright)

# The time is SOURCE_DATE_EPOCH where that is set.
file(RENAME ${doc}/CHANGELOG.md ${doc}/changelog)
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${doc}/changelog.Debian
"${CPACK_PACKAGE_NAME} (${version}) unstable; urgency=medium

  * Version ${CPACK_PACKAGE_VERSION}; what it brings is in changelog.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")

file(GLOB pages ${tree}/usr/share/man/man*/*)
execute_process(
	COMMAND gzip -9nf ${pages} ${doc}/changelog ${doc}/changelog.Debian
	COMMAND_ERROR_IS_FATAL ANY)

# Whatever is in /etc is the administrator's from then on.
file(GLOB_RECURSE conffiles LIST_DIRECTORIES false RELATIVE ${tree}
	${tree}/etc/*)
list(TRANSFORM conffiles PREPEND "/")
list(TRANSFORM conffiles APPEND "\n")
string(CONCAT conffiles ${conffiles})
file(WRITE ${CPACK_SRVD_CONFFILES} "${conffiles}")

# Whatever the umask of who builds it.
set(file OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
set(directory ${file} OWNER_EXECUTE GROUP_EXECUTE WORLD_EXECUTE)
file(CHMOD_RECURSE ${tree} DIRECTORY_PERMISSIONS ${directory})
file(CHMOD_RECURSE ${doc} FILE_PERMISSIONS ${file}
	DIRECTORY_PERMISSIONS ${directory})
