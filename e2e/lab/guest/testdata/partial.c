/*
 * Emulates a machine whose CPU has 8 KiB more FPU state than this one, preloaded between a guest kernel and the C
 * library: it accepts only the whole state, as xstateregs_set (arch/x86/kernel/fpu/regset.c) does. It counts refused
 * and accepted states in the file COUNTS.
 */
#include "../preload/libc.h"

#define MORE (8 << 10)

#define PROT_READ  1
#define PROT_WRITE 2
#define MAP_SHARED 1
#define MAP_FAILED ((void *)-1)
void *mmap(void *, size_t, int, int, int, long);
int open(const char *, int, ...);

static struct {
	int64_t refused, accepted;
} *counts;
static long (*host_ptrace)(int, pid_t, void *, void *);

static void begin(void)
{
	host_ptrace = dlsym(RTLD_NEXT, "ptrace");
	counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, open(COUNTS, 2), 0);
	if (!host_ptrace || counts == MAP_FAILED)
		abort();
}

long ptrace(int request, pid_t pid, void *kind, void *data)
{
	static char scratch[64 << 10];
	struct iovec here = {scratch, sizeof scratch}, *state = data;
	if (!counts)
		begin();
	if (kind != NT_X86_XSTATE || request != PTRACE_GETREGSET && request != PTRACE_SETREGSET)
		return host_ptrace(request, pid, kind, data);
	long code = host_ptrace(PTRACE_GETREGSET, pid, kind, &here);
	if (code)
		return code;
	if (request == PTRACE_GETREGSET) {
		memset(scratch + here.iov_len, 0xa5, MORE);
		if (state->iov_len > here.iov_len + MORE)
			state->iov_len = here.iov_len + MORE;
		memcpy(state->iov_base, scratch, state->iov_len);
		return 0;
	}
	if (state->iov_len < here.iov_len + MORE) {
		counts->refused++;
		errno = EFAULT;
		return -1;
	}
	counts->accepted++;
	here.iov_base = state->iov_base;
	return host_ptrace(request, pid, kind, &here);
}
