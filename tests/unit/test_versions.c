/*
 * test_versions - which program may take over from this one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/version.h"
#include "server/state/board.h"
#include "server/state/channel.h"
#include "server/state/plan.h"
#include "server/state/transfer.h"
#include "server/state/versions.h"
#include "tests/unit/unit.h"

static char name[VERSIONS_NAME_SIZE];
static char why[640];

/* A line with this list for the channel, and another board or ours. */
static int
judge(const char *channel, int board)
{
	char line[VERSIONS_LINE_SIZE];

	(void)snprintf(line, sizeof(line),
	    "srvd-upgrade program=9.8~rc1+x channel=%s transfer=%d plan=%d "
	    "board=%d new=1\n",
	    channel, TRANSFER_VERSION, PLAN_VERSION, board);
	why[0] = '\0';
	return versions_judge(line, name, why, sizeof(why));
}

START_TEST(a_program_may_take_over_from_itself)
{
	char line[VERSIONS_LINE_SIZE];

	versions_write(line);
	ck_assert_int_eq(versions_judge(line, name, why, sizeof(why)), 0);
	ck_assert_str_eq(name, SRVD_VERSION);
}
END_TEST

START_TEST(one_version_in_common_is_enough)
{
	char list[64];

	(void)snprintf(list, sizeof(list), "1000,%d,2000", CHANNEL_VERSION);
	ck_assert_int_eq(judge(list, BOARD_VERSION), 0);
	ck_assert_str_eq(name, "9.8~rc1+x");
	(void)snprintf(list, sizeof(list), "1000,%d", CHANNEL_VERSION);
	ck_assert_int_eq(judge(list, BOARD_VERSION), 0);
}
END_TEST

START_TEST(without_one_it_is_named)
{
	char list[64];

	(void)snprintf(list, sizeof(list), "%d", CHANNEL_VERSION);
	ck_assert_int_eq(judge(list, BOARD_VERSION + 70), -EPROTONOSUPPORT);
	ck_assert_msg(strstr(why, "board: this ") != NULL, "%s", why);
	(void)snprintf(list, sizeof(list), "%d0,1%d,,", CHANNEL_VERSION,
	    CHANNEL_VERSION);
	ck_assert_int_eq(judge(list, BOARD_VERSION), -EPROTONOSUPPORT);
	ck_assert_msg(strstr(why, "channel: this") != NULL, "%s", why);
	ck_assert_int_eq(judge("", BOARD_VERSION), -EPROTONOSUPPORT);
}
END_TEST

START_TEST(anything_else_is_no_answer)
{
	static const char *const texts[] = {
	    "",
	    "\n",
	    "srvd-upgrade\n",
	    "srvd-upgrade program=\n",
	    "srvd-upgrade program=1.0",
	    "srvd-upgrade program=1.0\033[1m\n",
	    "srvd-upgrade program=1.0\nmore\n",
	    "srvd-upgrade program=123456789012345678901234567890123\n",
	    "srvd-upgraded program=1.0\n",
	    "program=1.0 srvd-upgrade\n",
	    "y\ny\n",
	};
	char line[VERSIONS_LINE_SIZE + 2];
	size_t length;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_assert_int_eq(versions_judge(texts[i], name, why,
				     sizeof(why)),
		    -EPROTO);
	/* It is right, and too long. */
	versions_write(line);
	length = strlen(line) - 1;
	memset(line + length, ' ', VERSIONS_LINE_SIZE - length);
	line[VERSIONS_LINE_SIZE] = '\n';
	line[VERSIONS_LINE_SIZE + 1] = '\0';
	ck_assert_int_eq(versions_judge(line, name, why, sizeof(why)), -EPROTO);
	/* A word a letter. */
	memset(line, ' ', VERSIONS_LINE_SIZE);
	for (size_t i = 0; i < VERSIONS_LINE_SIZE - 2; i += 2)
		line[i] = 'a';
	line[VERSIONS_LINE_SIZE - 2] = '\n';
	line[VERSIONS_LINE_SIZE - 1] = '\0';
	ck_assert_int_eq(versions_judge(line, name, why, sizeof(why)), -EPROTO);
}
END_TEST

UNIT_MAIN("versions", a_program_may_take_over_from_itself,
    one_version_in_common_is_enough, without_one_it_is_named,
    anything_else_is_no_answer)
