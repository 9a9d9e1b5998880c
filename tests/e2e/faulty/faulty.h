/*
 * faulty - what makes the workers of srvd_faulty crash or hang.
 */
#ifndef SRVD_TESTS_FAULTY_H
#define SRVD_TESTS_FAULTY_H

/* What a connection sends, at the begin of what is read at once. */
#define FAULTY_SEGV  "FAULT:SEGV"
#define FAULTY_ABORT "FAULT:ABRT"
#define FAULTY_LOOP  "FAULT:LOOP"

/* While somebody listens on this abstract address worker 0 can't start. */
#define FAULTY_START "unix:@srvd-test-cannot-start"

#endif
