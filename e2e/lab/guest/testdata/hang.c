/* Hangs a guest kernel: its ptrace never returns. */
int pause(void);

long ptrace(int request, int pid, void *address, void *data)
{
	for (;;)
		pause();
}
