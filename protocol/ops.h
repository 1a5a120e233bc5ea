/* Every op once: its code, its request, its answer, and how the server treats it. The structs are
 * those of protocol/messages.h, which includes this file; docs/contract.md says what each does. */
#ifndef PROTOCOL_OPS_H
#define PROTOCOL_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "protocol/codec.h"

struct client_envelope;

enum op_traits {
    OP_WRITE = 1,    /**< goes through the log */
    OP_NUMBERED = 2, /**< carries a seq; its reply is stored; implies OP_WRITE */
    OP_SESSION = 4,  /**< the envelope must name a session */
    OP_READ = 8,     /**< answered from the machine's state, linearizable */
    OP_EXEMPT = 16,  /**< frees, renews or finishes: never refused for load, quota or disk */
    OP_DOOR = 32,    /**< answered by the server itself (HELLO, STATUS) */
    OP_PARKS = 64,   /**< its answer may come much later */
    OP_PAGES = 128,  /**< a read that may walk over many rows: few of them are served at a time */
    OP_SERVER = 256, /**< a server's own, into the log: from a client it is no op */
    OP_TAKES = 512,  /**< takes space for a while: refused at the disk's reserve */
};

/* OP(code, NAME, request struct, answer struct on HF_OK, traits). Codes are the wire's: never
 * reuse one. Free ranges: 10-19 sessions, 20-39 locks, 40-59 records, 60-69 barrier, 70-79
 * timers, 80-89 events and transactions, 90-119 admin. */
#define HF_OPS(OP)                                                                                 \
    OP(1, HELLO, msg_hello, msg_hello_reply, OP_DOOR)                                              \
    OP(10, OPEN, msg_open, msg_open_reply, OP_WRITE)                                               \
    OP(11, KEEP, msg_keep, msg_keep_reply, OP_WRITE | OP_SESSION | OP_EXEMPT)                      \
    OP(12, RESUME, msg_resume, msg_keep_reply, OP_WRITE | OP_SESSION | OP_EXEMPT)                  \
    OP(13, CLOSE, msg_empty, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)           \
    OP(14, CANCEL, msg_cancel, msg_cancel_reply, OP_WRITE | OP_SESSION | OP_EXEMPT)                \
    OP(15, SESSION_LIST, msg_session_list, msg_session_list_reply, OP_READ | OP_PAGES)             \
    OP(20, ACQUIRE, msg_acquire, msg_granted,                                                      \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_PARKS | OP_TAKES)                                  \
    OP(21, RELEASE, msg_release, msg_release_reply,                                                \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)                                            \
    OP(22, ABANDON, msg_abandon, msg_empty, OP_WRITE | OP_SESSION | OP_EXEMPT)                     \
    OP(23, CHECK, msg_check, msg_check_reply, OP_READ)                                             \
    OP(24, INFO, msg_info, msg_info_reply, OP_READ | OP_PAGES)                                     \
    OP(25, LIST, msg_list, msg_list_reply, OP_READ | OP_PAGES)                                     \
    OP(26, DOWNGRADE, msg_change_mode, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT) \
    OP(27, UPGRADE, msg_change_mode, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION)               \
    OP(40, BEGIN, msg_begin, msg_begin_reply,                                                      \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_PARKS | OP_TAKES)                                  \
    OP(41, EXTEND, msg_extend, msg_extend_reply, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)  \
    OP(42, CHECKPOINT, msg_checkpoint, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT) \
    OP(43, COMPLETE, msg_complete, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)     \
    OP(44, RESOLVE, msg_resolve, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)       \
    OP(45, RECORD_GET, msg_record_get, msg_record_reply, OP_READ)                                  \
    OP(46, RECORD_LIST, msg_record_list, msg_record_list_reply, OP_READ | OP_PAGES)                \
    OP(47, REOPEN, msg_reopen, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)         \
    OP(48, ERASE, msg_erase, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)           \
    OP(49, RECORD_EXPORT, msg_record_list, msg_record_export_reply, OP_READ | OP_PAGES)            \
    OP(60, BRANCH, msg_branch, msg_branch_reply, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_TAKES)   \
    OP(61, BRANCH_DONE, msg_branch_done, msg_empty,                                                \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)                                            \
    OP(62, BRANCH_GET, msg_branch_get, msg_branch_info, OP_READ)                                   \
    OP(63, BRANCH_LIST, msg_branch_list, msg_branch_list_reply, OP_READ | OP_PAGES)                \
    OP(70, TIMER_SET, msg_timer_set, msg_timer_set_reply,                                          \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_TAKES)                                             \
    OP(71, TIMER_CANCEL, msg_timer_cancel, msg_empty,                                              \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)                                            \
    OP(72, TIMER_POLL, msg_timer_poll, msg_timer_poll_reply,                                       \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_PARKS)                                             \
    OP(73, TIMER_ACK, msg_timer_ack, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)   \
    OP(74, TIMER_NACK, msg_timer_nack, msg_timer_nack_reply,                                       \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)                                            \
    OP(75, TIMER_LIST, msg_timer_list, msg_timer_list_reply, OP_READ | OP_PAGES)                   \
    OP(76, TIMER_REQUEUE, msg_timer_requeue, msg_empty,                                            \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)                                            \
    OP(80, EVENTS_SWITCH, msg_events_switch, msg_empty,                                            \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)                                            \
    OP(81, WATCH, msg_watch, msg_watch_reply, OP_READ | OP_PAGES)                                  \
    OP(82, EVENT_PREFIXES, msg_empty, msg_event_prefixes_reply, OP_READ)                           \
    OP(84, TXN, msg_txn, msg_txn_reply, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_TAKES)            \
    OP(90, STATUS, msg_empty, msg_status_reply, OP_DOOR)                                           \
    OP(91, MEMBER, msg_member, msg_empty, OP_WRITE | OP_SERVER)                                    \
    OP(92, CONFIG_SET, msg_config_set, msg_config_set_reply,                                       \
       OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)                                            \
    OP(93, CONFIG_GET, msg_config_get, msg_config_reply, OP_READ)                                  \
    OP(94, AUDIT, msg_audit, msg_audit_reply, OP_READ | OP_PAGES)                                  \
    OP(95, FREEZE, msg_freeze, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)         \
    OP(96, THAW, msg_freeze, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)           \
    OP(97, FROZEN_LIST, msg_empty, msg_frozen_reply, OP_READ)                                      \
    OP(98, FORCE, msg_force, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)           \
    OP(99, REVOKE, msg_revoke, msg_empty, OP_WRITE | OP_NUMBERED | OP_SESSION | OP_EXEMPT)

#define HF_OP_CODE(code, NAME, request, answer, traits) OP_CODE_##NAME = code,
enum op_code { HF_OPS(HF_OP_CODE) OP_CODE_MAX = 127 };
#undef HF_OP_CODE

struct op_info {
    uint16_t code;                    /**< enum op_code */
    uint16_t traits;                  /**< enum op_traits, or-ed */
    const char *name;                 /**< the contract's word */
    const struct codec_type *request; /**< of its body */
    const struct codec_type *answer;  /**< of its reply's body on HF_OK */
};

/** What an op is; NULL for a code that is none. Static. */
const struct op_info *op_find(uint16_t code);

/** The type of a reply's body: the op's answer on HF_OK, else the detail that goes with this
 * status of this op; msg_empty where there is none. Never NULL. Static. */
const struct codec_type *op_reply_type(uint16_t code, int status);

/** Does this request free or finish, though not every one of its op does? Confirm and cancel of a
 * branch, and a TXN of nothing but ops with OP_EXEMPT, are as exempt from what refuses new work as
 * an op with OP_EXEMPT is. */
bool op_finishes(uint16_t code, const void *request);

/** As how many ops a request counts in a batch and for a sweep: a TXN as all that it has. */
uint32_t op_weight(uint16_t code, struct slice body);

struct msg_txn;
struct txn_op;

/** Decode the request of one op of a TXN that has passed op_check(). \param request Out: a struct
 * of that op's request type, at most 512 bytes. \retval HF_EBADREQUEST, HF_ETOOLARGE */
HF_MUST_USE
int txn_part_decode(const struct txn_op *op, void *request);

/** op_check() of a TXN. \param sentence Out: what is wrong, static. \retval HF_EBADREQUEST */
HF_MUST_USE
int txn_check(const struct msg_txn *txn, const char **sentence);

/** op_finishes() of a TXN. */
bool txn_finishes(const struct msg_txn *txn);

/** Checks beyond single fields that every server makes at its door and again at apply: names
 * sorted and distinct, permits against mode and limit, a lease of 0 or >= 500 ms, ...
 * \param request a decoded struct of the op's request type.
 * \param sentence Out: what is wrong, static. \retval HF_EBADREQUEST */
HF_MUST_USE
int op_check(uint16_t code, const void *request, const char **sentence);

/** The same for the envelope and its op: a session and a seq where the op wants them and not
 * elsewhere, ranges rising and above ack. \retval HF_EBADREQUEST */
HF_MUST_USE
int envelope_check(uint16_t code, const struct client_envelope *e, const char **sentence);

#endif
