/*
 * user - who the gateway's processes run as; see compile.h.
 */
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "server/config/compile.h"

static void
take_groups(struct build *build, const char *user)
{
	gid_t groups[PLAN_GROUPS_MAX];
	int count = PLAN_GROUPS_MAX;
	struct plan *head = &build->head;

	if (getgrouplist(user, head->gid, groups, &count) < 0) {
		report_add(build->report, build_top_place(build, "user"),
		    "user: \"%.60s\" is in %d groups: at most %d can be kept",
		    user, count, PLAN_GROUPS_MAX);
		return;
	}
	head->groups_count = (uint32_t)count;
	for (int i = 0; i < count; i++)
		head->groups[i] = groups[i];
}

static void
take_group(struct build *build, const char *name)
{
	const struct group *entry = getgrnam(name);

	if (entry == NULL)
		report_add(build->report, build_top_place(build, "group"),
		    "group: there is no group \"%.60s\" on this system: "
		    "create it, or name another",
		    name);
	else
		build->head.gid = entry->gr_gid;
}

void
compile_user(struct build *build, bool is_sound)
{
	const char *user = build_text(build, build->head.user_name);
	const char *group = build_text(build, build->head.group_name);
	const struct passwd *entry;

	build->head.uid = geteuid();
	build->head.gid = getegid();
	/* Without root nobody else can be become: the names stay unused. */
	if (geteuid() != 0 || *user == '\0')
		return;
	entry = getpwnam(user);
	if (entry == NULL && !is_sound &&
	    build_top_place(build, "user").line == 0)
		return;
	if (entry == NULL) {
		report_add(build->report, build_top_place(build, "user"),
		    "user: there is no user \"%.60s\" on this system: create "
		    "it, or name another with user = NAME",
		    user);
		return;
	}
	build->head.uid = entry->pw_uid;
	build->head.gid = entry->pw_gid;
	if (*group != '\0')
		take_group(build, group);
	take_groups(build, user);
}
