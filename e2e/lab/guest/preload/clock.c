/*
 * The clock of a guest on a machine that has others to serve: laid before the guest kernel's C library (LD_PRELOAD,
 * ld.so(8)).
 *
 * user-mode-linux reads the time with clock_gettime(CLOCK_MONOTONIC), arms one timer for the next moment at which it has
 * something to do, and sleeps in sigsuspend (arch/um/os-Linux/time.c). That moment is a tick, 10 ms, ahead at most while a
 * process runs.
 *
 * 1. While the guest works, its time goes by with the CPU time that it uses: its kernel's, and that of the process of its that
 *    runs. What this machine gives to others meanwhile, and what a disk takes, is left out. The guest's time goes by
 *    LVS_LAB_SPEED times as slowly as its CPU time: to the guest, its CPU is so much faster.
 * 2. While it sleeps, its time goes by LVS_LAB_HURRY times as fast as the machine's: nobody waits for it to wake but itself.
 * 3. No reading goes further beyond the moment that the timer is armed for than LATE: a guest that got its CPU would be there
 *    by then. The rest is left out, too.
 *
 * The wall clock is read once, at boot, and goes on with this one. With LVS_LAB_CLOCK=machine all time is the machine's.
 */
#include "libc.h"

#define SECOND 1000000000LL
#define LATE   250000LL   /* ns; timers of a machine that runs are 60 us late */

static int (*host_gettime)(clockid_t, struct timespec *);
static int (*host_settime)(timer_t, int, const struct itimerspec *, struct itimerspec *);
static int (*host_sigsuspend)(const sigset_t *);
static bool machines; /* the guest's time is the machine's */
static int64_t speed = 1, hurry = 1;

/* Changed with all signals blocked, by the only thread of the kernel that reads a clock. All in ns. */
static int64_t host; /* the machine's time of the latest reading */
static int64_t cpu;  /* the CPU time of the guest at the latest reading */
static int64_t last; /* the guest's */
static int64_t due;  /* the guest's time at which the timer fires; 0 = not armed */
static timer_t timer;
static bool asleep;
static pid_t running;     /* the process of the guest that ran last; 0 = none yet */
static int64_t seen;      /* its CPU time at the latest reading */
static int64_t processes; /* the CPU time of all processes of the guest */

static int64_t times(const char *name)
{
	const char *value = getenv(name);
	return value && atoi(value) > 1 ? atoi(value) : 1;
}

static void begin(void)
{
	host_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	host_settime = dlsym(RTLD_NEXT, "timer_settime");
	host_sigsuspend = dlsym(RTLD_NEXT, "sigsuspend");
	if (!host_gettime || !host_settime || !host_sigsuspend)
		abort();
	const char *whose = getenv("LVS_LAB_CLOCK");
	machines = whose && !strcmp(whose, "machine");
	speed = times("LVS_LAB_SPEED");
	hurry = times("LVS_LAB_HURRY");
}

static int64_t nanoseconds(const struct timespec *t)
{
	return t->tv_sec * SECOND + t->tv_nsec;
}

static struct timespec timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
}

/* Arms the machine's timer for the moment that is due, if the guest goes on as it does now. */
static void arm(void)
{
	int64_t ahead = due > last ? due - last : 1;
	int64_t wait = asleep ? (ahead + hurry - 1) / hurry : ahead * speed;
	struct itimerspec in = {.it_value = timespec(wait)};
	host_settime(timer, 0, &in, NULL);
}

/* The reading of a machine's clock; 0 where it cannot be read, as that of a process that has ended. */
static int64_t reading(clockid_t clock)
{
	struct timespec t;
	return host_gettime(clock, &t) ? 0 : nanoseconds(&t);
}

/* The CPU time that the guest has used: its kernel, and its processes, of which one at a time runs. */
static int64_t used(void)
{
	int64_t process = running ? reading(CPU_CLOCK_OF(running)) : 0;
	if (process > seen) {
		processes += process - seen;
		seen = process;
	}
	return processes + reading(CLOCK_THREAD_CPUTIME_ID);
}

static int64_t now(void)
{
	int64_t before = host, cpu_before = cpu;
	host = reading(CLOCK_MONOTONIC);
	cpu = used();
	int64_t passed = before ? host - before : 0;
	int64_t worked = cpu - cpu_before < passed ? cpu - cpu_before : passed;
	int64_t time = last ? last + (asleep ? passed * hurry : worked / speed) : host;
	int64_t latest = (last > due ? last : due) + LATE;
	last = due && time > latest ? latest : time;
	if (asleep) {
		asleep = false; /* only what woke it reads a clock */
		if (due > last)
			arm();
	}
	return last;
}

/* The kernel's signal handlers read the clock, too. */
static void block(sigset_t *before)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, before);
}

/* Takes note of which process of the guest runs from now on. */
void runs(pid_t pid)
{
	if (pid == running || !host_gettime || machines)
		return;
	sigset_t before;
	block(&before);
	used();
	running = pid;
	seen = reading(CPU_CLOCK_OF(pid));
	sigprocmask(SIG_SETMASK, &before, NULL);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (!host_gettime)
		begin();
	if (clock != CLOCK_MONOTONIC || machines)
		return host_gettime(clock, t);
	sigset_t before;
	block(&before);
	*t = timespec(now());
	sigprocmask(SIG_SETMASK, &before, NULL);
	return 0;
}

int timer_settime(timer_t which, int flags, const struct itimerspec *in, struct itimerspec *old)
{
	if (!host_gettime)
		begin();
	if (machines)
		return host_settime(which, flags, in, old);
	sigset_t before;
	block(&before);
	int64_t ahead = nanoseconds(&in->it_value);
	int code = 0;
	timer = which;
	now(); /* by what was due: a standstill may end here */
	if (ahead && !nanoseconds(&in->it_interval)) {
		due = last + ahead;
		arm();
	} else {
		due = 0;
		code = host_settime(which, flags, in, old); /* off, or periodic, as in the first moments of a boot */
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}

int sigsuspend(const sigset_t *mask)
{
	if (!host_gettime)
		begin();
	if (machines)
		return host_sigsuspend(mask);
	sigset_t before;
	block(&before);
	now();
	asleep = true;
	if (due)
		arm();
	int code = host_sigsuspend(mask);
	if (asleep)
		now();
	sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}
