/*
 * child - the process that reads the configuration; see child.h.
 *
 * What it reads is untrusted, and so is the library that it reads it with:
 * it has no descriptor of its parent's but two, and limits on memory, time
 * and what it may write.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/signals.h"
#include "server/config/answer.h"
#include "server/config/build.h"
#include "server/config/child.h"
#include "server/config/compile.h"
#include "server/config/parse.h"
#include "server/config/scan.h"

#define CPU_SECONDS_MAX 20
#define MEMORY_MAX      ((rlim_t)1 << 30)
#define DESCRIPTORS_MAX 64

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SHADOW_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SHADOW_MEMORY 1
#endif
#endif
#ifndef HAS_SHADOW_MEMORY
#define HAS_SHADOW_MEMORY 0
#endif

/*
 * Lower a limit; never raises what the parent was given.  For good if that
 * can be had (valgrind keeps some of the descriptors for itself).
 */
static void
limit(int resource, rlim_t most)
{
	struct rlimit limit;
	rlim_t hard;

	if (getrlimit(resource, &limit) < 0)
		_exit(CHILD_EXIT_BROKEN);
	hard = limit.rlim_max;
	if (limit.rlim_cur > most)
		limit.rlim_cur = most;
	limit.rlim_max = limit.rlim_cur;
	if (setrlimit(resource, &limit) == 0)
		return;
	limit.rlim_max = hard;
	if (setrlimit(resource, &limit) < 0)
		_exit(CHILD_EXIT_BROKEN);
}

static void
limit_all(void)
{
	limit(RLIMIT_CPU, CPU_SECONDS_MAX);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);
	limit(RLIMIT_FSIZE, PLAN_LENGTH_MAX);
	/* Private memory only: the master's shared mappings don't count. */
	if (!HAS_SHADOW_MEMORY)
		limit(RLIMIT_DATA, MEMORY_MAX);
	(void)alarm(CHILD_SECONDS_MAX);
}

/* Move a descriptor to where it can stay. */
static int
move(int from, int to)
{
	if (dup3(from, to, O_CLOEXEC) < 0)
		_exit(CHILD_EXIT_BROKEN);
	return to;
}

/*
 * Keep stderr, for what libc and sanitizers have to say, and our two, as 3
 * and 4; nothing else.
 */
static void
keep_descriptors(int *plan_fd, int *answer_fd)
{
	int plan = fcntl(*plan_fd, F_DUPFD_CLOEXEC, 5);
	int answer = fcntl(*answer_fd, F_DUPFD_CLOEXEC, 5);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (plan < 0 || answer < 0 || null < 0 || dup2(null, 0) < 0 ||
	    dup2(null, 1) < 0 || (fcntl(2, F_GETFD) < 0 && dup2(null, 2) < 0))
		_exit(CHILD_EXIT_BROKEN);
	*plan_fd = move(plan, 3);
	*answer_fd = move(answer, 4);
	if (close_range(5, ~0U, 0) < 0)
		_exit(CHILD_EXIT_BROKEN);
}

static int
write_plan(int fd, const struct bytes *plan)
{
	size_t done = 0;

	while (done < plan->length) {
		ssize_t n = write(fd, plan->data + done, plan->length - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

static void
read_configuration(const struct config_request *request, struct report *report,
    int plan_fd)
{
	struct canon canon = {0};
	struct build build;
	struct bytes plan = {0};
	bool is_whole;
	bool is_sound;

	build_init(&build, request, report);
	is_whole = scan_files(request->path, report, &canon);
	is_sound = report->findings_count == 0;
	if (!report_is_full(report)) {
		parse_canon(&canon, &build);
		parse_asides(&canon, request, report);
	}
	if (is_whole && !report_is_full(report)) {
		compile_user(&build, is_sound);
		compile_build(&build);
		compile_local_ports(&build);
	}
	report_sort(report);
	if (report->findings_count > 0)
		return;
	build_finish(&build, &plan);
	if (write_plan(plan_fd, &plan) < 0)
		_exit(CHILD_EXIT_BROKEN);
}

void
child_run(const struct config_request *request, int plan_fd, int answer_fd)
{
	struct report report = {0};

	(void)prctl(PR_SET_NAME, "srvd: config");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	signals_reset();
	keep_descriptors(&plan_fd, &answer_fd);
	limit_all();
	read_configuration(request, &report, plan_fd);
	if (answer_write(answer_fd, &report) < 0)
		_exit(CHILD_EXIT_BROKEN);
	memory_free_all();
	_exit(0);
}
