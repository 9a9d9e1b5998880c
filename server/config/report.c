/*
 * report - what was found wrong with the configuration; see report.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "server/config/memory.h"
#include "server/config/report.h"

uint32_t
report_file(struct report *report, const char *path)
{
	report->files = memory_grow(report->files, report->files_count,
	    sizeof(*report->files));
	report->files[report->files_count] = memory_copy(path);
	return report->files_count++;
}

bool
report_is_full(const struct report *report)
{
	return report->findings_count >= REPORT_FINDINGS_MAX;
}

void
report_add(struct report *report, struct place place, const char *format, ...)
{
	char message[REPORT_MESSAGE_SIZE];
	struct finding *finding;
	va_list args;

	if (report_is_full(report)) {
		report->dropped++;
		return;
	}
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	report->findings = memory_grow(report->findings, report->findings_count,
	    sizeof(*report->findings));
	finding = &report->findings[report->findings_count];
	finding->place = place;
	finding->order = report->findings_count++;
	finding->message = memory_copy(log_printable(message));
}

static int
by_place(const void *left, const void *right)
{
	const struct finding *a = left;
	const struct finding *b = right;

	if (a->place.file != b->place.file)
		return a->place.file < b->place.file ? -1 : 1;
	if (a->place.line != b->place.line)
		return a->place.line < b->place.line ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

void
report_sort(struct report *report)
{
	if (report->findings_count > 1)
		qsort(report->findings, report->findings_count,
		    sizeof(*report->findings), by_place);
}

const char *
report_place(const struct report *report, struct place target,
    struct place origin, char text[REPORT_PLACE_SIZE])
{
	if (target.file == origin.file)
		(void)snprintf(text, REPORT_PLACE_SIZE, "line %u", target.line);
	else
		(void)snprintf(text, REPORT_PLACE_SIZE, "%.256s:%u",
		    report->files[target.file], target.line);
	return text;
}
