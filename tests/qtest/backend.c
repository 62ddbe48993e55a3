/* SPDX-License-Identifier: BSD-3-Clause */
/* The test's side of a fake backend. */
#include "backend.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

Plan *plan_new(void)
{
    Plan *plan = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                      -1, 0);

    g_assert_true(plan != MAP_FAILED);
    return plan;
}

static int listen_at(const char *path)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpuint(strlen(path), <, sizeof(sun.sun_path));
    strcpy(sun.sun_path, path);
    unlink(path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), ==, 0);
    g_assert_cmpint(listen(fd, 4), ==, 0);
    return fd;
}

Backend *backend_start(const char *path, Plan *plan)
{
    Backend *b = g_new0(Backend, 1);
    int wake[2], ready[2], listener;
    char byte;

    b->plan = plan;
    b->path = g_strdup(path);
    memset(plan->region, 0, sizeof(plan->region));
    g_assert_cmpint(pipe2(wake, O_CLOEXEC), ==, 0);
    g_assert_cmpint(pipe2(ready, O_CLOEXEC), ==, 0);
    b->pid = fork();
    g_assert_cmpint(b->pid, >=, 0);
    if (b->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGABRT, SIG_DFL);
        close(wake[1]);
        if (plan->late_ms) {
            unlink(path);
            close(ready[1]);
            usleep(plan->late_ms * 1000);
        }
        listener = listen_at(path); /* here: SO_PEERCRED names who listened */
        if (!plan->late_ms && write(ready[1], "", 1) != 1) {
            _exit(1);
        }
        backend_child(plan, listener, wake[0]);
    }
    close(wake[0]);
    close(ready[1]);
    b->wake = wake[1];
    g_assert_cmpint(read(ready[0], &byte, 1), ==, plan->late_ms ? 0 : 1);
    close(ready[0]);
    return b;
}

void backend_wake(Backend *b)
{
    g_assert_cmpint(write(b->wake, "", 1), ==, 1);
}

bool backend_lives(Backend *b)
{
    siginfo_t info = { };

    return waitid(P_PID, b->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

int backend_wait(Backend *b)
{
    int status;

    g_assert_cmpint(waitpid(b->pid, &status, 0), ==, b->pid);
    g_assert_cmpuint(b->plan->trouble, ==, 0);
    close(b->wake);
    g_free(b->path);
    g_free(b);
    return status;
}

int backend_end(Backend *b)
{
    kill(b->pid, SIGKILL);
    return backend_wait(b);
}
