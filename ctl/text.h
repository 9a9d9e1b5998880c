/*
 * text - what a person reads: numbers with units, text that is safe to show.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_TEXT_H
#define SRVD_CTL_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/attr.h"

#define TEXT_SIZE 512

/*
 * Text of the server's, fit for a terminal: what is not UTF-8, controls and
 * marks that change how the rest is shown become '?', and so does all beyond
 * ASCII where the terminal is not UTF-8.  Cut, with "…", when too long.
 */
const char *text_show(const char *text, char shown[TEXT_SIZE]);

/* The same, of any length, to a file. */
void text_put(FILE *out, const char *text);

/* Text that has been through text_show, cut to so many columns (at least 1)
 * with a mark where something is missing. */
const char *text_cut(const char *text, size_t columns, char cut[TEXT_SIZE]);

/* Columns that text takes on the terminal; text has been through text_show. */
size_t text_columns(const char *text);

/* "17", "9,900"; "12.3 MiB"; "3d 4h", "5m 6s" (two units at most). */
const char *text_count(int64_t count, char text[TEXT_SIZE]);
const char *text_bytes(int64_t bytes, char text[TEXT_SIZE]);
const char *text_age(int64_t seconds, char text[TEXT_SIZE]);
/* "1 connection", "1,200 connections". */
const char *text_connections(int64_t count, char text[TEXT_SIZE]);
/* A time in the local zone: "2026-11-22 18:00:00". */
const char *text_time(int64_t us, char text[TEXT_SIZE]);

#endif
