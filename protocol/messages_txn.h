/* The messages of transactions (docs/contract.md, section 8): several ops as one. As
 * protocol/messages.h, which includes this file. */
#ifndef PROTOCOL_MESSAGES_TXN_H
#define PROTOCOL_MESSAGES_TXN_H

#include <stdint.h>

#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/words.h"

/* ------------------------------------------------------------------ parts */

/* Nothing is accepted unless it is named: of OK the verdicts (of BEGIN and TIMER_SET those that
 * their answers carry, of RELEASE enum release_verdict, of the others 0 alone), and answers. */
#define TXN_OP_FIELDS(T, F, L)                                                                 \
    F(T, U64, op, 1, UINT16_MAX) /* RELEASE, BEGIN, COMPLETE, TIMER_SET or TIMER_CANCEL */     \
    F(T, U64, verdicts, 0, TXN_VERDICTS_MAX)  /* of OK that are accepted: 1 << verdict each */ \
    F(T, U64S, answers, 0, TXN_ANSWERS_MAX)   /* others: their numbers without sign, rising */ \
    F(T, BIN, body, 1, TXN_REQUEST_BYTES_MAX) /* that op's request */
CODEC_STRUCT(txn_op, TXN_OP_FIELDS)

#define TXN_RESULT_FIELDS(T, F, L) \
    F(T, U64, op, 1, UINT16_MAX)   \
    F(T, STATUS, status, 0, 999)   \
    F(T, BIN, body, 0, TXN_ANSWER_BYTES_MAX) /* its answer, as that op's under this status */
CODEC_STRUCT(txn_result, TXN_RESULT_FIELDS)

/* ------------------------------------------------------------------ request and answers */

#define TXN_FIELDS(T, F, L) L(T, txn_op, ops, 1, TXN_OPS_MAX)
CODEC_STRUCT(msg_txn, TXN_FIELDS)

#define TXN_REPLY_FIELDS(T, F, L) L(T, txn_result, results, 1, TXN_OPS_MAX) /* one for each op */
CODEC_STRUCT(msg_txn_reply, TXN_REPLY_FIELDS)

/* With NOT_ACCEPTED: the first op whose answer was not accepted. Nothing of the TXN was done: what
 * an OK among these tells would have been. */
#define TXN_REFUSED_FIELDS(T, F, L)      \
    F(T, U64, index, 0, TXN_OPS_MAX - 1) \
    TXN_RESULT_FIELDS(T, F, L)
CODEC_STRUCT(msg_txn_refused, TXN_REFUSED_FIELDS)

/* Every described struct above, as HF_TYPES. */
#define HF_TXN_TYPES(TYPE)                \
    TYPE(txn_op, TXN_OP_FIELDS)           \
    TYPE(txn_result, TXN_RESULT_FIELDS)   \
    TYPE(msg_txn, TXN_FIELDS)             \
    TYPE(msg_txn_reply, TXN_REPLY_FIELDS) \
    TYPE(msg_txn_refused, TXN_REFUSED_FIELDS)

#endif
