/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * irq.c - MSI-X vectors. The engine's thread only sets an event notifier (RULES C2); KVM turns
 * it into an interrupt itself where it can (irqfd), else the main loop does under the BQL.
 */
#include "rmnic.h"

#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "trace.h"

void rmnic_irq_raise(RmnicState *s, uint16_t vector)
{
    if (vector < s->vectors) {
        trace_rmnic_irq_raised(s, vector);
        event_notifier_set(&s->vector[vector].notifier);
    }
}

/* Main loop. A masked vector becomes pending in msix_notify() and is sent when unmasked. */
static void rmnic_irq_deliver(EventNotifier *notifier)
{
    RmnicVector *v = container_of(notifier, RmnicVector, notifier);

    if (event_notifier_test_and_clear(notifier)) {
        uint16_t vector = v - v->dev->vector;

        trace_rmnic_irq_delivered(v->dev, vector);
        msix_notify(&v->dev->parent_obj, vector);
    }
}

/* --- irqfd ------------------------------------------------------------------------------ */

static int rmnic_irqfd_unmask(PCIDevice *pdev, unsigned vector, MSIMessage msg)
{
    RmnicVector *v = &RMNIC(pdev)->vector[vector];
    int ret;

    if (v->virq < 0) {
        return 0; /* no route was left for it: the main loop goes on */
    }
    ret = kvm_irqchip_update_msi_route(kvm_state, v->virq, msg, pdev);
    if (ret < 0) {
        return ret;
    }
    kvm_irqchip_commit_routes(kvm_state);
    event_notifier_set_handler(&v->notifier, NULL);
    ret = kvm_irqchip_add_irqfd_notifier_gsi(kvm_state, &v->notifier, NULL, v->virq);
    if (ret < 0) {
        event_notifier_set_handler(&v->notifier, rmnic_irq_deliver);
    }
    return ret;
}

static void rmnic_irqfd_mask(PCIDevice *pdev, unsigned vector)
{
    RmnicVector *v = &RMNIC(pdev)->vector[vector];

    if (v->virq >= 0) {
        kvm_irqchip_remove_irqfd_notifier_gsi(kvm_state, &v->notifier, v->virq);
        event_notifier_set_handler(&v->notifier, rmnic_irq_deliver);
    }
}

static void rmnic_irqfd_on(RmnicState *s)
{
    KVMRouteChange change = kvm_irqchip_begin_route_changes(kvm_state);
    Error *err = NULL;

    for (unsigned i = 0; i < s->vectors; i++) {
        s->vector[i].virq = kvm_irqchip_add_msi_route(&change, i, &s->parent_obj);
    }
    kvm_irqchip_commit_route_changes(&change);
    if (msix_set_vector_notifiers(&s->parent_obj, rmnic_irqfd_unmask, rmnic_irqfd_mask,
                                  NULL) < 0) {
        error_setg(&err, "rmnic: KVM takes no irqfd for the vectors; the main loop raises them");
        warn_report_err(err);
        for (unsigned i = 0; i < s->vectors; i++) {
            if (s->vector[i].virq >= 0) {
                kvm_irqchip_release_virq(kvm_state, s->vector[i].virq);
                s->vector[i].virq = -1;
            }
        }
        return;
    }
    s->irqfd = true;
    trace_rmnic_irqfd(s, true);
}

static void rmnic_irqfd_off(RmnicState *s)
{
    msix_unset_vector_notifiers(&s->parent_obj);
    for (unsigned i = 0; i < s->vectors; i++) {
        if (s->vector[i].virq >= 0) {
            kvm_irqchip_release_virq(kvm_state, s->vector[i].virq);
            s->vector[i].virq = -1;
        }
    }
    s->irqfd = false;
    trace_rmnic_irqfd(s, false);
}

void rmnic_irq_update(RmnicState *s)
{
    bool want = kvm_msi_via_irqfd_enabled() && msix_enabled(&s->parent_obj);

    if (want && !s->irqfd) {
        rmnic_irqfd_on(s);
    } else if (!want && s->irqfd) {
        rmnic_irqfd_off(s);
    }
}

/* --- Life ------------------------------------------------------------------------------- */

static void rmnic_irq_free(RmnicState *s, unsigned n)
{
    while (n > 0) {
        n--;
        event_notifier_set_handler(&s->vector[n].notifier, NULL);
        event_notifier_cleanup(&s->vector[n].notifier);
        msix_vector_unuse(&s->parent_obj, n);
    }
    g_free(s->vector);
    s->vector = NULL;
}

bool rmnic_irq_init(RmnicState *s, Error **errp)
{
    s->vector = g_new0(RmnicVector, s->vectors);
    for (unsigned i = 0; i < s->vectors; i++) {
        RmnicVector *v = &s->vector[i];
        int ret = event_notifier_init(&v->notifier, 0);

        v->dev = s;
        v->virq = -1;
        if (ret < 0) {
            error_setg_errno(errp, -ret, "rmnic: no event notifier for vector %u of vectors=%u",
                             i, s->vectors);
            rmnic_irq_free(s, i);
            return false;
        }
        event_notifier_set_handler(&v->notifier, rmnic_irq_deliver);
        msix_vector_use(&s->parent_obj, i);
    }
    return true;
}

void rmnic_irq_exit(RmnicState *s)
{
    if (s->irqfd) {
        rmnic_irqfd_off(s);
    }
    rmnic_irq_free(s, s->vectors);
}
