/* See the header. */
#include "tests/sim/kinds.h"

#include <inttypes.h>
#include <stdio.h>

void kinds_add(struct kinds *k, const struct sim_result *result)
{
    for (unsigned i = 0; i < FAULT_COUNT; i++) k->faults[i] += result->counts.fault_kinds[i];
    for (unsigned i = 0; i < BUGGIFY_POINT_COUNT; i++) k->points[i] += result->points[i];
    for (unsigned i = 0; i < HISTORY_ACTS; i++) k->acts[i] += result->acts[i];
    for (unsigned i = 0; i < HISTORY_TIMER_EVENTS; i++) k->timers[i] += result->timers[i];
    for (unsigned i = 0; i < HISTORY_BRANCH_EVENTS; i++) k->branches[i] += result->branches[i];
    for (unsigned i = 0; i < HISTORY_TXN_EVENTS; i++) k->txns[i] += result->txns[i];
    for (unsigned i = 0; i < CHECK_WATCH_EVENTS; i++) k->watches[i] += result->watches[i];
    for (unsigned i = EVENT_LOST; i <= EVENT_KIND_MAX; i++) k->told[i] += result->told[i];
    for (unsigned i = 0; i < LEDGER_DEATHS; i++) k->deaths[i] += result->deaths[i];
}

/* And of TXNs. */
static bool print_branches(const struct kinds *k)
{
    bool all = true;
    for (unsigned i = 0; i < HISTORY_BRANCH_EVENTS; i++) {
        printf("branch %s %" PRIu64 "\n", history_branch_event_name((enum history_branch_event)i),
               k->branches[i]);
        all = all && k->branches[i] > 0;
    }
    for (unsigned i = 0; i < HISTORY_TXN_EVENTS; i++) {
        printf("txn %s %" PRIu64 "\n", history_txn_event_name((enum history_txn_event)i),
               k->txns[i]);
        all = all && k->txns[i] > 0;
    }
    for (unsigned i = 0; i < LEDGER_DEATHS; i++) {
        printf("death %s %" PRIu64 "\n", ledgers_death_name(i), k->deaths[i]);
        all = all && k->deaths[i] > 0;
    }
    return all;
}

static bool print_watches(const struct kinds *k)
{
    bool all = true;
    for (unsigned i = 0; i < CHECK_WATCH_EVENTS; i++) {
        printf("watch %s %" PRIu64 "\n", checks_watch_event_name((enum check_watch_event)i),
               k->watches[i]);
        all = all && k->watches[i] > 0;
    }
    for (unsigned i = EVENT_LOST; i <= EVENT_KIND_MAX; i++) {
        printf("event %s %" PRIu64 "\n", history_event_name((enum event_type)i), k->told[i]);
        all = all && k->told[i] > 0;
    }
    return all;
}

bool kinds_print(const struct kinds *k)
{
    bool all = print_branches(k);
    all = print_watches(k) && all;
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        printf("fault %s %" PRIu64 "\n", fault_name((enum fault_kind)i), k->faults[i]);
        all = all && k->faults[i] > 0;
    }
    for (unsigned i = 0; i < BUGGIFY_POINT_COUNT; i++) {
        printf("point %s %" PRIu64 "\n", buggify_name((enum buggify_point)i), k->points[i]);
        all = all && k->points[i] > 0;
    }
    for (unsigned i = 0; i < HISTORY_ACTS; i++) {
        printf("act %s %" PRIu64 "\n", history_act_name((enum history_act)i), k->acts[i]);
        all = all && k->acts[i] > 0;
    }
    for (unsigned i = 0; i < HISTORY_TIMER_EVENTS; i++) {
        printf("timer %s %" PRIu64 "\n", history_timer_event_name((enum history_timer_event)i),
               k->timers[i]);
        all = all && k->timers[i] > 0;
    }
    return all;
}
