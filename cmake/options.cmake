# How everything is compiled: the language, warnings, hardening, sanitizers.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

option(SRVD_TESTS "build the tests" ON)
option(SRVD_WERROR "warnings are errors" OFF)
option(SRVD_HOLDER_FORK
	"holders fork their workers instead of sharing the descriptor table; \
for valgrind only: a connection does not outlive its worker then" OFF)
set(SRVD_SANITIZE "" CACHE STRING "sanitizers, e.g. address,undefined")

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes
	-Wmissing-prototypes -Wold-style-definition -Wpointer-arith
	-Wwrite-strings -Wvla -Wformat=2 -Wundef -Wimplicit-fallthrough
	-fno-common -fno-strict-aliasing)
if(SRVD_WERROR)
	add_compile_options(-Werror)
endif()
if(SRVD_HOLDER_FORK)
	add_compile_definitions(SRVD_HOLDER_FORK)
endif()

if(SRVD_SANITIZE)
	add_compile_options(-fsanitize=${SRVD_SANITIZE}
		-fno-sanitize-recover=all -fno-omit-frame-pointer)
	add_link_options(-fsanitize=${SRVD_SANITIZE})
else()
	add_compile_options(-fstack-protector-strong)
	if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
		add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
	endif()
	if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
		add_compile_options(-fcf-protection)
	endif()
endif()
add_compile_options(-fPIE)
add_link_options(-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack)

include_directories(${PROJECT_SOURCE_DIR})
