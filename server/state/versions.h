/*
 * versions - what a program speaks, in one line: can another one take over
 * from it what is alive?
 *
 * An upgrade asks the new program for its line, and the worker of a dead master
 * says that of its own program; both are judged by what this one speaks.  Only
 * what passes between two programs counts: messages, the plan and the board; a
 * body's layout is its own program's.
 *
 * Runs in: master, worker, and srvd --upgrade-check.
 */
#ifndef SRVD_STATE_VERSIONS_H
#define SRVD_STATE_VERSIONS_H

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

/* With newline and NUL. */
#define VERSIONS_LINE_SIZE 256
#define VERSIONS_NAME_SIZE 32

/* This program's line:
 * "srvd-upgrade program=0.1.0 channel=4 transfer=1 plan=3 board=2\n".
 * Who speaks more than one version of something lists them: "channel=4,5". */
void versions_write(char line[VERSIONS_LINE_SIZE]);

/*
 * Could the program that says text take over from this one, or this one from
 * it?  text is anything and ends with a NUL.  Returns 0, or -EPROTO (it is no
 * such line) or -EPROTONOSUPPORT, both with why it can't, about "it".  The
 * program's version is in name, unless that is -EPROTO.
 */
must_check int versions_judge(const char *text, char name[VERSIONS_NAME_SIZE],
    char *why, size_t why_size);

/* What there is to say of a program whose messages of the channel have another
 * version, theirs, in the same words. */
void versions_say_channel(uint32_t theirs, char *why, size_t why_size);

#endif
