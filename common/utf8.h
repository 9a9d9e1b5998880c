/*
 * utf8 - characters in text that may be anything.
 *
 * Runs in: every process.
 */
#ifndef SRVD_COMMON_UTF8_H
#define SRVD_COMMON_UTF8_H

#include <stddef.h>

/*
 * The length of the UTF-8 character at p (RFC 3629: shortest form, no
 * surrogates, nothing past U+10FFFF), or 0.  The text ends with a NUL, which
 * is no continuation byte: nothing past it is looked at.
 */
size_t utf8_length(const unsigned char *p);

#endif
