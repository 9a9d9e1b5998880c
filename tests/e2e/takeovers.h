/*
 * takeovers - a gateway under checked streams whose master dies, and is
 * succeeded by another.
 *
 * Services "tcp" (a TCP and a Unix-domain listener) and "unix", with backends
 * of the load's; its workers write an access log.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_TAKEOVERS_H
#define SRVD_TESTS_TAKEOVERS_H

#include "gateway.h"
#include "load.h"

struct takeovers {
	struct gateway gateway;
	struct load *load;
	char tcp[ADDR_TEXT_SIZE];
	char un[ADDR_TEXT_SIZE];
	char access[E2E_PATH_SIZE];
	char address[3][ADDR_TEXT_SIZE];
};

/* globals: more lines of the configuration. */
void takeovers_start(struct takeovers *f, const char *globals);
/* Write the configuration, with more services. */
void takeovers_configure(const struct takeovers *f, const char *more);
/* Streams of all kinds to all listeners, kept up. */
void takeovers_add_traffic(struct takeovers *f);

/* A new master, ready to serve, while the streams go on. */
void takeovers_succeed(struct takeovers *f);
/* Whoever was there before gateway_kill() has handed over and gone. */
void takeovers_expect_gone(struct takeovers *f);
/* The listeners of the start are where they were. */
void takeovers_expect_addresses(const struct takeovers *f);

/* Start, which must fail: it ends with status 1. */
void takeovers_expect_failed_start(struct takeovers *f);

/* Everything ends; nothing was lost, nothing counted or logged twice; a stop
 * leaves nothing behind. */
void takeovers_finish(struct takeovers *f);

#endif
