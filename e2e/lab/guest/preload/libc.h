/*
 * The parts of the C library that this library uses, as on Linux for amd64 (the only 64-bit architecture of
 * user-mode-linux): it is compiled on machines without headers. tcc has no constructors, so each file looks up the
 * functions that it wraps on its first call.
 */
typedef long time_t, int64_t;
typedef unsigned long size_t;
typedef int clockid_t, pid_t;
typedef void *timer_t;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

struct timespec {
	time_t tv_sec;
	long tv_nsec;
};
struct itimerspec {
	struct timespec it_interval, it_value;
};
#define CLOCK_MONOTONIC         1
#define CLOCK_THREAD_CPUTIME_ID 3
#define CPU_CLOCK_OF(pid)       ((~(pid) << 3) | 2) /* clock_getcpuclockid(3) */

typedef struct {
	unsigned long signals[16];
} sigset_t;
#define SIG_BLOCK   0
#define SIG_SETMASK 2
int sigfillset(sigset_t *);
int sigprocmask(int, const sigset_t *, sigset_t *);

struct iovec {
	void *iov_base;
	size_t iov_len;
};
#define PTRACE_CONT              7
#define PTRACE_SINGLESTEP        9
#define PTRACE_SYSCALL           24
#define PTRACE_SYSEMU            31
#define PTRACE_SYSEMU_SINGLESTEP 32
#define PTRACE_GETREGSET 0x4204
#define PTRACE_SETREGSET 0x4205
#define NT_X86_XSTATE    ((void *)0x202)

int *__errno_location(void);
#define errno  (*__errno_location())
#define EFAULT 14

#define RTLD_NEXT ((void *)-1)
void *dlsym(void *, const char *);
char *getenv(const char *);
int atoi(const char *);
int strcmp(const char *, const char *);
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
void abort(void);

/* clock.c: records which guest process runs from now on. */
void note_running(pid_t pid);
