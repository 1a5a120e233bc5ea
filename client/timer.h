/* What a TXN shares with the calls on timers. */
#ifndef CLIENT_TIMER_H
#define CLIENT_TIMER_H

#include "client/include/holdfast_timer.h"
#include "client/shell.h"

/** The TIMER_SET of hf_timer_set(). \param set Out; borrows from key and timer. \retval HF_EINVAL
 */
HF_MUST_USE
int timer_ask(const char *key, const hf_timer *timer, struct msg_timer_set *set);

/** What the answer to a SET or CANCEL tells beside its status. \param view Out: written if it tells
 * anything. \return the status; HF_ECORRUPT: it does not decode. */
HF_MUST_USE
int timer_see(uint16_t op, int status, struct slice reply, hf_timer_view *view);

#endif
