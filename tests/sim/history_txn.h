/* TXNs as the log has them (docs/contract.md, section 8), judged by what is known of locks, records
 * and timers without the machine: of one that is done, each op is what it would have been alone,
 * and accepted; of one that is refused nothing came, but the evidence of every completion in it
 * that was too late. What it left half done shows with whoever comes next. */
#ifndef TESTS_SIM_HISTORY_TXN_H
#define TESTS_SIM_HISTORY_TXN_H

#include <stdint.h>

#include "base/slice.h"

struct history;
struct history_answer;
struct machine_reply;

/* What came of them. */
enum history_txn_event {
    TXN_EVENT_DONE,     /* all of it */
    TXN_EVENT_REFUSED,  /* for an answer that was not accepted */
    TXN_EVENT_UNWANTED, /* for a verdict of OK that was not */
    TXN_EVENT_ACCEPTED, /* done, and a refusal was accepted */
    TXN_EVENT_EVIDENCE, /* refused, and had a late completion in it */
    HISTORY_TXN_EVENTS, /* how many there are */
};

/** A kind's name, for people. */
const char *history_txn_event_name(enum history_txn_event event);

/** A TXN was answered for the first time; any other op is let pass. As history_answered(). */
void history_txn_answered(struct history *h, const struct history_answer *a, struct slice request,
                          const struct machine_reply *reply);

#endif
