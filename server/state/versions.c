/*
 * versions - what a program speaks, in one line; see versions.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/version.h"
#include "server/state/board.h"
#include "server/state/channel.h"
#include "server/state/plan.h"
#include "server/state/transfer.h"
#include "server/state/versions.h"

#define FIRST "srvd-upgrade"
/* What a version of a program is made of; it goes into the log. */
#define LETTERS                                                          \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
	".+~-"

static const struct spoken {
	const char *name;
	const char *what;
	uint32_t version;
} spoken[] = {
    /* Without this one a message does not even tell the others. */
    {"channel", "messages between master and worker", CHANNEL_VERSION},
    {"transfer", "messages of a hand-over", TRANSFER_VERSION},
    {"plan", "plan", PLAN_VERSION},
    {"board", "board", BOARD_VERSION},
};

void
versions_write(char line[VERSIONS_LINE_SIZE])
{
	int length = snprintf(line, VERSIONS_LINE_SIZE, FIRST " program=%s",
	    SRVD_VERSION);

	for (size_t i = 0; i < ARRAY_LEN(spoken); i++)
		length +=
		    snprintf(line + length, VERSIONS_LINE_SIZE - (size_t)length,
			" %s=%u", spoken[i].name, spoken[i].version);
	(void)snprintf(line + length, VERSIONS_LINE_SIZE - (size_t)length,
	    "\n");
}

/* Is version one of a list, "3,4"? */
static bool
is_listed(const char *list, uint32_t version)
{
	char number[16];
	size_t length = (size_t)snprintf(number, sizeof(number), "%u", version);

	for (;;) {
		size_t item = strcspn(list, ",");

		if (item == length && memcmp(list, number, length) == 0)
			return true;
		if (list[item] == '\0')
			return false;
		list += item + 1;
	}
}

/* The value of the word that begins with name and '=', or NULL. */
static const char *
find_value(char *const *words, size_t count, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < count; i++) {
		if (strncmp(words[i], name, length) == 0 &&
		    words[i][length] == '=')
			return words[i] + length + 1;
	}
	return NULL;
}

/* list NULL: none. */
static int
judge_one(const struct spoken *one, const char *list, char *why,
    size_t why_size)
{
	if (list != NULL && is_listed(list, one->version))
		return 0;
	(void)snprintf(why, why_size,
	    "it does not speak this program's version of the %s (%s: this %u, "
	    "it %.60s)",
	    one->what, one->name, one->version, list == NULL ? "none" : list);
	return -EPROTONOSUPPORT;
}

void
versions_say_channel(uint32_t theirs, char *why, size_t why_size)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%u", theirs);
	(void)judge_one(&spoken[0], number, why, why_size);
}

static int
judge_words(char *const *words, size_t count, char *why, size_t why_size)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(spoken) && rc == 0; i++)
		rc = judge_one(&spoken[i],
		    find_value(words, count, spoken[i].name), why, why_size);
	return rc;
}

int
versions_judge(const char *text, char name[VERSIONS_NAME_SIZE], char *why,
    size_t why_size)
{
	char line[VERSIONS_LINE_SIZE];
	char *words[VERSIONS_LINE_SIZE / 2];
	size_t length = strlen(text);
	size_t count = 0;
	const char *program;
	char *rest = NULL;

	(void)snprintf(why, why_size,
	    "what it says is not what a srvd says that can take over");
	if (length < 1 || length >= sizeof(line) ||
	    strchr(text, '\n') != text + length - 1)
		return -EPROTO;
	memcpy(line, text, length);
	line[length - 1] = '\0';
	for (char *word = strtok_r(line, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	if (count < 2 || strcmp(words[0], FIRST) != 0)
		return -EPROTO;
	program = find_value(words, count, "program");
	if (program == NULL || *program == '\0' ||
	    strlen(program) >= VERSIONS_NAME_SIZE ||
	    program[strspn(program, LETTERS)] != '\0')
		return -EPROTO;
	memcpy(name, program, strlen(program) + 1);
	return judge_words(words, count, why, why_size);
}
