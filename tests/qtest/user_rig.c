/* SPDX-License-Identifier: BSD-3-Clause */
#include "user_rig.h"

#include "libqos/pci-pc.h"
#include "qemu/atomic.h"
#if __has_include("qobject/qdict.h")
#include "qobject/qdict.h" /* QEMU 10.0 and later */
#else
#include "qapi/qmp/qdict.h"
#endif

/* How long a page has to stay as it is to be called quiet. */
#define QUIET_US 200000

UserRig user_start_bare(const char *options)
{
    static unsigned n;
    g_autofree char *name = g_strdup_printf("backend%u", n++);
    g_autofree char *all = NULL;
    UserRig u = { .path = rig_path(name), .plan = plan_new() };

    u.backend = backend_start(u.path, u.plan);
    all = g_strdup_printf("-chardev socket,id=c0,path=%s %s", u.path, options);
    u.rig = rig_start_bare(all);
    return u;
}

UserRig user_start(const char *props, const char *more)
{
    g_autofree char *options = g_strdup_printf(USER_Q35 " -device rmnic,id=r,addr=4,chardev=c0,"
                                               "size=128M%s %s", props, more ? more : "");
    UserRig u = user_start_bare(options);

    rig_attach(u.rig, QPCI_DEVFN(4, 0));
    u.page = rig_alloc(u.rig, RMNIC_PAGE_SIZE);
    return u;
}

uint32_t user_status(UserRig *u)
{
    return rig_reg(u->rig, RMNIC_REG_STATUS);
}

void user_ready(UserRig *u)
{
    u->plan->scribble = u->page;
    u->admin = rig_enable(u->rig, 16);
    RIG_WAIT(user_status(u) == RMNIC_STATUS_READY);
    user_scribbled(u);
}

void user_settled(UserRig *u)
{
    for (;;) {
        g_autofree char *connection = NULL;

        RIG_WAIT(user_number(u, "pid") == (uint64_t)u->backend->pid);
        connection = user_text(u, "connection");
        if (strcmp(connection, "connected") == 0) {
            return;
        }
    }
}

void user_next_backend(UserRig *u)
{
    u->backend = backend_start(u->path, u->plan);
    user_settled(u);
}

void user_end(UserRig *u)
{
    rig_stop(u->rig);
    if (u->backend) {
        backend_end(u->backend);
    }
    g_assert_cmpuint(u->plan->unsealed, ==, 0);
    g_free(u->path);
}

static QDict *user_backend(UserRig *u)
{
    QDict *rsp = qtest_qmp(u->rig->qts, "{ 'execute': 'qom-get', 'arguments': "
                           "{ 'path': '/machine/peripheral/r', 'property': 'backend' } }");

    g_assert_true(qdict_haskey(rsp, "return"));
    return rsp;
}

uint64_t user_number(UserRig *u, const char *name)
{
    QDict *rsp = user_backend(u);
    uint64_t value = qdict_get_int(qdict_get_qdict(rsp, "return"), name);

    qobject_unref(rsp);
    return value;
}

char *user_text(UserRig *u, const char *name)
{
    QDict *rsp = user_backend(u);
    char *text = g_strdup(qdict_get_str(qdict_get_qdict(rsp, "return"), name));

    qobject_unref(rsp);
    return text;
}

uint64_t user_seen(UserRig *u, uint16_t request)
{
    return qatomic_read(&u->plan->seen[request]);
}

char *user_qmp_error(UserRig *u, const char *command)
{
    QDict *rsp = qtest_qmp(u->rig->qts, command, NULL);
    char *text;

    if (!qdict_haskey(rsp, "error")) {
        g_error("no error for %s", command);
    }
    text = g_strdup(qdict_get_str(qdict_get_qdict(rsp, "error"), "desc"));
    qobject_unref(rsp);
    return text;
}

void user_scribbled(UserRig *u)
{
    uint64_t before = qtest_readq(u->rig->qts, u->page);

    RIG_WAIT(qtest_readq(u->rig->qts, u->page) != before);
}

void user_quiet(UserRig *u)
{
    uint64_t before = qtest_readq(u->rig->qts, u->page);

    g_usleep(QUIET_US);
    g_assert_cmpuint(qtest_readq(u->rig->qts, u->page), ==, before);
}
