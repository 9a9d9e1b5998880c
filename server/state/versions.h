/*
 * versions - what a program speaks, in one line: can another one take over
 * from it what is alive?
 *
 * An upgrade asks the new program for its line and judges it by what this one
 * speaks.  Only what passes between two programs counts: messages, the plan
 * and the board; a body's layout is its own program's.
 *
 * Runs in: master, and srvd --upgrade-check.
 */
#ifndef SRVD_STATE_VERSIONS_H
#define SRVD_STATE_VERSIONS_H

#include <stddef.h>

#include "common/attr.h"

/* With newline and NUL. */
#define VERSIONS_LINE_SIZE 256
#define VERSIONS_NAME_SIZE 32

/* This program's line:
 * "srvd-upgrade program=0.1.0 channel=3 transfer=1 plan=3 board=2\n".
 * Who speaks more than one version of something lists them: "channel=3,4". */
void versions_write(char line[VERSIONS_LINE_SIZE]);

/*
 * Could the program that says text take over from this one?  text is anything
 * and ends with a NUL.  Returns 0 and the program's version in name, or -EPROTO
 * (it is no such line) or -EPROTONOSUPPORT, both with a sentence in why.
 */
must_check int versions_judge(const char *text, char name[VERSIONS_NAME_SIZE],
    char *why, size_t why_size);

#endif
