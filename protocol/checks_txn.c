/* The rules of a TXN (docs/contract.md, section 8): which ops, each of them whole and by its own
 * rules, none that waits, no two that name the same record, timer or grant. As protocol/checks.c,
 * whose op_check() comes here. */
#include "base/status.h"
#include "protocol/messages.h"
#include "protocol/scan.h"

enum { PART_BYTES_MAX = 512 }; /* the largest request struct of those ops */

/* What the ops of a TXN name. */
struct named {
    struct slice records[TXN_OPS_MAX]; /* keys */
    uint32_t record_count;             /* of them */
    struct slice timers[TXN_OPS_MAX];  /* keys */
    uint32_t timer_count;              /* of them */
    uint64_t grants[TXN_OPS_MAX];      /* fencing tokens: a grant has one, whatever its names */
    uint32_t grant_count;              /* of them */
};

static int refuse(const char **sentence, const char *why)
{
    *sentence = why;
    return HF_EBADREQUEST;
}

/* False: it is among them already. */
static bool add_key(struct slice *keys, uint32_t *count, struct slice key)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (slice_equal(keys[i], key)) return false;
    }
    keys[(*count)++] = key;
    return true;
}

static bool add_grant(struct named *named, uint64_t token)
{
    for (uint32_t i = 0; i < named->grant_count; i++) {
        if (named->grants[i] == token) return false;
    }
    named->grants[named->grant_count++] = token;
    return true;
}

static int name_one(struct named *named, uint16_t code, const void *request, const char **sentence)
{
    const struct msg_release *release = request;
    const struct msg_begin *begin = request;
    const struct msg_complete *complete = request;
    const struct msg_timer_set *set = request;
    const struct msg_timer_cancel *cancel = request;
    bool first = false;
    switch (code) {
    case OP_CODE_RELEASE: first = add_grant(named, release->fencing_token); break;
    case OP_CODE_BEGIN:
        if (begin->wait_ms != 0) return refuse(sentence, "a BEGIN in a TXN waits for nothing");
        first = add_key(named->records, &named->record_count, begin->key);
        break;
    case OP_CODE_COMPLETE:
        first = add_key(named->records, &named->record_count, complete->key);
        break;
    case OP_CODE_TIMER_SET: first = add_key(named->timers, &named->timer_count, set->key); break;
    case OP_CODE_TIMER_CANCEL:
        first = add_key(named->timers, &named->timer_count, cancel->key);
        break;
    default: HF_UNREACHABLE();
    }
    if (!first) return refuse(sentence, "two ops of a TXN name the same record, timer or grant");
    return HF_OK;
}

/* The verdicts that OK has for an op: 1 << verdict, or-ed. */
static uint64_t verdicts_of(uint16_t code)
{
    switch (code) {
    case OP_CODE_RELEASE: return 1 << RELEASE_FREED | 1 << RELEASE_COUNTED;
    case OP_CODE_BEGIN: return 1 << BEGIN_STARTED | 1 << BEGIN_REPLAY | 1 << BEGIN_TAKEOVER;
    case OP_CODE_TIMER_SET: return (1 << (TIMER_VERDICT_MAX + 1)) - 1;
    case OP_CODE_COMPLETE:
    case OP_CODE_TIMER_CANCEL: return 1;
    default: return 0;
    }
}

static int check_accepted(const struct txn_op *op, const char **sentence)
{
    if ((op->verdicts & ~verdicts_of((uint16_t)op->op)) != 0)
        return refuse(sentence, "an op of a TXN has no such verdict");
    if (op->verdicts == 0 && op->answers.count == 0)
        return refuse(sentence, "an op of a TXN accepts no answer at all");
    for (uint32_t i = 0; i < op->answers.count; i++) {
        uint64_t number = op->answers.items[i];
        if (i > 0 && number <= op->answers.items[i - 1])
            return refuse(sentence, "accepted answers do not rise");
        if (number == 0 || number > 999 || status_kind(-(int)number) != STATUS_ANSWER)
            return refuse(sentence, "an accepted answer is none that an op may have");
    }
    return HF_OK;
}

int txn_part_decode(const struct txn_op *op, void *request)
{
    const struct op_info *info = op_find((uint16_t)op->op);
    HF_ASSERT(info != NULL && info->request->struct_bytes <= PART_BYTES_MAX);
    return codec_decode(info->request, op->body, NULL, request);
}

int txn_check(const struct msg_txn *txn, const char **sentence)
{
    struct named named = {.record_count = 0};
    const struct txn_op *ops = txn->ops.items;
    HF_ASSERT(txn->ops.count <= TXN_OPS_MAX);
    for (uint32_t i = 0; i < txn->ops.count; i++) {
        _Alignas(16) uint8_t request[PART_BYTES_MAX];
        if (verdicts_of((uint16_t)ops[i].op) == 0)
            return refuse(sentence, "a TXN takes RELEASE, BEGIN, COMPLETE, TIMER_SET and "
                                    "TIMER_CANCEL alone");
        int rv = check_accepted(&ops[i], sentence);
        if (rv != HF_OK) return rv;
        if (txn_part_decode(&ops[i], request) != HF_OK)
            return refuse(sentence, "the body of an op of a TXN does not decode as that op's");
        rv = op_check((uint16_t)ops[i].op, request, sentence);
        if (rv == HF_OK) rv = name_one(&named, (uint16_t)ops[i].op, request, sentence);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

bool txn_finishes(const struct msg_txn *txn)
{
    const struct txn_op *ops = txn->ops.items;
    for (uint32_t i = 0; i < txn->ops.count; i++) {
        const struct op_info *info = op_find((uint16_t)ops[i].op);
        if (info == NULL || (info->traits & OP_EXEMPT) == 0) return false;
    }
    return true;
}

uint32_t op_weight(uint16_t code, struct slice body)
{
    uint32_t count;
    if (code != OP_CODE_TXN) return 1;
    struct scan scan = scan_open(body);
    int rv = scan_array(&scan, &count); /* the message, whose one field is the list */
    if (rv == HF_OK) rv = scan_array(&scan, &count);
    if (rv != HF_OK) return 1;
    return count >= 1 && count <= TXN_OPS_MAX ? count : 1;
}
