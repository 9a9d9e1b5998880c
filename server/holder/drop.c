/*
 * drop - give up every privilege; see drop.h.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/holder/drop.h"
#include "server/state/plan.h"

static int
become(const struct drop_spec *spec)
{
	gid_t groups[PLAN_GROUPS_MAX];

	if (spec->groups_count > PLAN_GROUPS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < spec->groups_count; i++)
		groups[i] = spec->groups[i];
	if (setgroups(spec->groups_count, groups) < 0 ||
	    setresgid(spec->gid, spec->gid, spec->gid) < 0 ||
	    setresuid(spec->uid, spec->uid, spec->uid) < 0)
		return -errno;
	return 0;
}

/*
 * What an exec could give back, were no_new_privs not there already: so where
 * it may not be given up (it takes CAP_SETPCAP) nothing is lost.
 */
static void
drop_bounds(void)
{
	static const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
	    SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
	    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	(void)prctl(PR_SET_SECUREBITS, bits, 0, 0, 0);
	/* Up to the last that this kernel has. */
	for (unsigned long i = 0; prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0; i++)
		continue;
}

static bool
has_capabilities(void)
{
	struct __user_cap_header_struct head = {
	    .version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct held[2] = {{0}};

	return syscall(SYS_capget, &head, held) < 0 ||
	    (held[0].permitted | held[1].permitted) != 0;
}

/*
 * A service manager's filter may forbid capset.  Then it has to do that the
 * exec has left us none (the master clears the ambient set before it): what is
 * only inheritable is of no use where no_new_privs is set.
 */
static int
drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
	    .version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2];
	int error;

	memset(none, 0, sizeof(none));
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &head, none) == 0)
		return 0;
	error = errno;
	return error == EPERM && !has_capabilities() ? 0 : -error;
}

int
drop_privileges(const struct drop_spec *spec)
{
	static const struct rlimit no_core = {0, 0};
	int rc = 0;

	/* First of all: until now the process was dumpable again, as every
	 * exec makes it. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &no_core) < 0)
		return -errno;
	if (spec->uid != 0)
		drop_bounds();
	if (spec->uid != PLAN_NO_ID)
		rc = become(spec);
	if (rc == 0 && spec->uid != 0)
		rc = drop_capabilities();
	if (rc == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		rc = -errno;
	return rc;
}
