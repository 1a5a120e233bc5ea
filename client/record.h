/* What a TXN shares with the calls on records. */
#ifndef CLIENT_RECORD_H
#define CLIENT_RECORD_H

#include "client/shell.h"

/** The BEGIN of hf_record_begin(). \param begin Out; borrows from key and how.
 * \retval HF_ENOKEY the client lacks the secret that `how` names. */
HF_MUST_USE
int record_ask(const hf_client *client, const char *key, const hf_begin *how,
               struct msg_begin *begin);

/** The COMPLETE of hf_record_complete(). \param complete Out; borrows from record and result.
 * \retval HF_EBADSTATE it is a replay. */
HF_MUST_USE
int record_end(const hf_record *record, int outcome, const hf_result *result,
               struct msg_complete *complete);

/** A handle of what a BEGIN was answered. The lock is held.
 * \param begin  its encoded request. \param reply  its encoded answer; taken over, then empty.
 * \param grant  the attempt's slot; generation 0 = a replay. \retval HF_ENOMEM nothing changed. */
HF_MUST_USE
int record_new(hf_client *client, struct slice begin, struct buffer *reply, struct grant_ref grant,
               hf_record **out);

#endif
