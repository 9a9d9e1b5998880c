/*
 * attr - what the compiler is asked to check.
 */
#ifndef SRVD_COMMON_ATTR_H
#define SRVD_COMMON_ATTR_H

#define must_check        __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define no_return         __attribute__((noreturn))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
