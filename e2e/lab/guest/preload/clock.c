/*
 * The clock of a guest on a machine that also runs other things. This file is preloaded into the guest kernel
 * (LD_PRELOAD, ld.so(8)).
 *
 * user-mode-linux reads the time with clock_gettime(CLOCK_MONOTONIC), arms one timer for the next time at which it has
 * something to do, and sleeps in sigsuspend (arch/um/os-Linux/time.c). While a process runs, the timer is at most one
 * tick (10 ms) ahead.
 *
 * 1. While the guest works, its time advances with the CPU time that it uses: that of its kernel and that of its
 *    running process. Time during which this machine runs other processes, or waits for a disk, is left out. Guest time
 *    advances LVS_LAB_SPEED times slower than CPU time, so that the CPU appears that much faster to the guest.
 * 2. While the guest sleeps, its time advances LVS_LAB_HURRY times faster than the machine's, because nothing outside
 *    the guest waits for it to wake up.
 * 3. No reading is more than LATE beyond the time that the timer is armed for: a guest that got its CPU would have been
 *    woken by then. Time beyond that is left out, too.
 *
 * The wall clock is read once, at boot, and then follows this clock. With LVS_LAB_CLOCK=machine all time is the
 * machine's.
 */
#include "libc.h"

#define SECOND 1000000000LL
#define LATE   250000LL   /* ns; timers of a machine without stalls are 60 us late */

static int (*host_gettime)(clockid_t, struct timespec *);
static int (*host_settime)(timer_t, int, const struct itimerspec *, struct itimerspec *);
static int (*host_sigsuspend)(const sigset_t *);
static bool host_clock; /* the guest uses the machine's clock */
static int64_t speed = 1, hurry = 1;

/* Only changed with all signals blocked, by the only thread of the kernel that reads a clock. All times in ns. */
static int64_t host; /* the machine's time at the latest reading */
static int64_t cpu;  /* the CPU time of the guest at the latest reading */
static int64_t last; /* the guest's time at the latest reading */
static int64_t due;  /* guest time at which the timer fires; 0 = not armed */
static timer_t timer;
static bool asleep;
static pid_t running;     /* the guest process that ran last; 0 = none yet */
static int64_t seen;      /* its CPU time at the latest reading */
static int64_t processes; /* the CPU time of all guest processes */

static int64_t factor(const char *name)
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
	const char *choice = getenv("LVS_LAB_CLOCK");
	host_clock = choice && !strcmp(choice, "machine");
	speed = factor("LVS_LAB_SPEED");
	hurry = factor("LVS_LAB_HURRY");
}

static int64_t nanoseconds(const struct timespec *t)
{
	return t->tv_sec * SECOND + t->tv_nsec;
}

static struct timespec timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
}

/* Arms the machine's timer so that it fires at due if the guest keeps working, or sleeping, until then. */
static void arm(void)
{
	int64_t ahead = due > last ? due - last : 1;
	int64_t wait = asleep ? (ahead + hurry - 1) / hurry : ahead * speed;
	struct itimerspec in = {.it_value = timespec(wait)};
	host_settime(timer, 0, &in, NULL);
}

/* Reads a clock of the machine; 0 if it cannot be read, like the CPU clock of a process that has exited. */
static int64_t reading(clockid_t clock)
{
	struct timespec t;
	return host_gettime(clock, &t) ? 0 : nanoseconds(&t);
}

/* The CPU time that the guest has used: its kernel and its processes, of which one runs at a time. */
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
		asleep = false; /* only the code that woke it reads a clock */
		if (due > last)
			arm();
	}
	return last;
}

/* Blocks signals, because the kernel's signal handlers read the clock, too. */
static void block(sigset_t *before)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, before);
}

/* Records which guest process runs from now on. */
void note_running(pid_t pid)
{
	if (pid == running || !host_gettime || host_clock)
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
	if (clock != CLOCK_MONOTONIC || host_clock)
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
	if (host_clock)
		return host_settime(which, flags, in, old);
	sigset_t before;
	block(&before);
	int64_t ahead = nanoseconds(&in->it_value);
	int code = 0;
	timer = which;
	now(); /* with the old due: a stall of the machine may end here */
	if (ahead && !nanoseconds(&in->it_interval)) {
		due = last + ahead;
		arm();
	} else {
		due = 0;
		code = host_settime(which, flags, in, old); /* disarmed, or periodic, as early in the boot */
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}

int sigsuspend(const sigset_t *mask)
{
	if (!host_gettime)
		begin();
	if (host_clock)
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
