/* The recorder's own life, and what it writes for grants rather than for calls: renewals, losses,
 * the session's end, ABANDON. docs/history-format.md says which line each is; where what this file
 * knows is less than that, it writes less: a lapse needs no line. */
#include "client/core_recorder.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "client/core.h"

enum { LINE_BYTES_MAX = 64 * 1024 }; /* the format's limit */

/* ------------------------------------------------------------------ begin and end */

int recorder_open(struct core *c, struct recorder_sink *sink)
{
    if (sink == NULL) return HF_OK;
    struct recorder *r = calloc(1, sizeof *r);
    if (r == NULL) return HF_ENOMEM;
    r->sink = sink;
    buffer_init(&r->line, LINE_BYTES_MAX);
    if (arena_init(&r->arena, CORE_ARENA_BYTES) != HF_OK) {
        free(r);
        return HF_ENOMEM;
    }
    c->recorder = r;
    return HF_OK;
}

void recorder_close(struct core *c)
{
    struct recorder *r = c->recorder;
    if (r == NULL) return;
    for (uint32_t i = 0; i < c->call_count; i++) {
        struct call *call = c->calls[i];
        if (call->recorded == NULL) continue;
        call->unsure += 1; /* its answer may be on its way */
        recorder_over(c, call, HF_EUNKNOWN);
    }
    for (uint32_t i = 0; i < c->abandon_count; i++) recorder_abandon_over(c, &c->abandons[i]);
    for (uint32_t i = 0; i < r->grant_count; i++) free(r->grants[i].names.packed);
    arena_close(&r->arena);
    buffer_close(&r->line);
    free(r->grants);
    free(r);
    c->recorder = NULL;
}

uint64_t recorder_now(const struct recorder *r)
{
    return r->sink->now_cb(r->sink->data);
}

void recorder_emit(struct core *c, struct recorder_line *line)
{
    struct recorder *r = c->recorder;
    line->id = ++r->sink->id_last;
    line->client = c->config.name;
    buffer_clear(&r->line);
    if (recorder_line_write(&r->line, line) != HF_OK) {
        r->sink->broken_cb(r->sink->data);
        return;
    }
    r->sink->line_cb(r->sink->data, buffer_slice(&r->line));
}

/* ------------------------------------------------------------------ names */

static bool copy_names(struct recorder_names *to, const struct recorder_names *from)
{
    *to = *from;
    to->packed = malloc(from->size);
    if (to->packed != NULL) memcpy(to->packed, from->packed, from->size);
    return to->packed != NULL;
}

static bool pack_names(struct recorder_names *to, const struct slice *names, size_t count)
{
    *to = (struct recorder_names){.count = count};
    HF_ASSERT(count >= 1 && count <= NAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        HF_ASSERT(names[i].size <= NAME_BYTES_MAX);
        to->size += 1 + names[i].size;
    }
    uint8_t *at = to->packed = malloc(to->size);
    if (at == NULL) return false;
    for (size_t i = 0; i < count; i++) {
        *at++ = (uint8_t)names[i].size;
        memcpy(at, names[i].data, names[i].size);
        at += names[i].size;
    }
    return true;
}

_Static_assert(NAME_BYTES_MAX <= UINT8_MAX, "a length is one byte");

void recorder_set_names(struct recorder_line *line, const struct recorder_names *names)
{
    const uint8_t *at = names->packed;
    HF_ASSERT(names->count >= 1 && names->count <= NAMES_MAX);
    line->name_count = names->count;
    for (size_t i = 0; i < names->count; i++) {
        line->names[i] = slice_make(at + 1, *at);
        at += 1 + *at;
    }
    line->key = line->names[0];
}

void recorder_free_op(struct recorder_op *op)
{
    if (op != NULL) free(op->names.packed);
    free(op);
}

/* ------------------------------------------------------------------ grants by their token */

struct recorder_grant *recorder_find(const struct recorder *r, uint64_t token)
{
    for (uint32_t i = 0; i < r->grant_count; i++) {
        if (r->grants[i].token == token) return &r->grants[i];
    }
    return NULL;
}

static bool make_room(struct recorder *r)
{
    if (r->grant_count < r->grant_places) return true;
    uint32_t places = r->grant_places == 0 ? 64 : r->grant_places * 2;
    struct recorder_grant *more = NULL;
    if (places <= RECORDER_GRANTS_MAX) more = realloc(r->grants, places * sizeof *more);
    if (more == NULL) return false;
    r->grants = more;
    r->grant_places = places;
    return true;
}

struct recorder_grant *recorder_add(struct recorder *r, uint64_t token,
                                    const struct recorder_line *line)
{
    struct recorder_grant *g = token != 0 ? recorder_find(r, token) : NULL;
    struct recorder_names names;
    const struct slice *first = line->name_count > 1 ? line->names : &line->key;
    if (g != NULL) return g;
    if (!make_room(r) || !pack_names(&names, first, line->name_count > 1 ? line->name_count : 1)) {
        r->sink->broken_cb(r->sink->data);
        return NULL;
    }
    g = &r->grants[r->grant_count++];
    *g = (struct recorder_grant){.token = token, .names = names};
    return g;
}

void recorder_forget(struct recorder *r, uint64_t token)
{
    struct recorder_grant *g = recorder_find(r, token);
    if (g == NULL) return;
    free(g->names.packed);
    *g = r->grants[--r->grant_count];
}

/* What ends with the session, and attempts that are lost here: nobody gives them back in another.
 */
static void forget_bound(struct core *c)
{
    struct recorder *r = c->recorder;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->grant_count; i++) {
        const struct recorder_grant *g = &r->grants[i];
        if (!g->bound && grants_find(&c->grants, g->token) != NULL)
            r->grants[kept++] = *g;
        else
            free(g->names.packed);
    }
    r->grant_count = kept;
}

static struct recorder_line line_of(const struct recorder_grant *g, const char *op)
{
    struct recorder_line line = {.model = g->attempt ? "idem" : "lock", .op = op};
    recorder_set_names(&line, &g->names);
    line.part = line.key;
    if (g->token != 0) recorder_number(&line.args, "token", g->token);
    return line;
}

/* ------------------------------------------------------------------ calls */

static struct recorder_op *make_op(struct recorder *r, uint64_t token)
{
    struct recorder_op *op = calloc(1, sizeof *op);
    if (op == NULL) r->sink->broken_cb(r->sink->data);
    const struct recorder_grant *g = token != 0 ? recorder_find(r, token) : NULL;
    if (op != NULL) op->token = token;
    if (op == NULL || g == NULL) return op;
    op->owner = g->owner;
    op->attempt = g->attempt;
    if (!copy_names(&op->names, &g->names)) {
        r->sink->broken_cb(r->sink->data);
        recorder_free_op(op);
        return NULL;
    }
    return op;
}

/* The token that a request names, or 0. */
static uint64_t token_of(const struct call *call)
{
    union {
        struct msg_release release; /* DOWNGRADE, UPGRADE: likewise */
        struct msg_extend extend;
        struct msg_checkpoint checkpoint;
        struct msg_complete complete;
        struct msg_resolve resolve;
    } m;
    switch (call->op->code) {
    case OP_CODE_RELEASE:
    case OP_CODE_DOWNGRADE:
    case OP_CODE_UPGRADE:
    case OP_CODE_EXTEND:
    case OP_CODE_CHECKPOINT:
    case OP_CODE_COMPLETE:
    case OP_CODE_RESOLVE: break;
    default: return 0;
    }
    int rv = codec_decode(call->op->request, buffer_slice(&call->body), NULL, &m);
    HF_ASSERT(rv == HF_OK); /* our own encoding */
    switch (call->op->code) {
    case OP_CODE_RELEASE:
    case OP_CODE_DOWNGRADE:
    case OP_CODE_UPGRADE: return m.release.fencing_token;
    case OP_CODE_EXTEND: return m.extend.fencing_token;
    case OP_CODE_CHECKPOINT: return m.checkpoint.fencing_token;
    case OP_CODE_COMPLETE: return m.complete.fencing_token;
    default: return m.resolve.fencing_token;
    }
}

void recorder_submitted(struct core *c, struct call *call)
{
    struct recorder *r = c->recorder;
    if (r == NULL) return;
    HF_ASSERT(call->recorded == NULL);
    uint64_t token = token_of(call);
    call->recorded = make_op(r, token);
    if (call->recorded != NULL) call->recorded->own = !call->attached;
    if (call->op->code != OP_CODE_COMPLETE) return;
    struct recorder_grant *attempt = recorder_find(r, token);
    if (attempt != NULL) attempt->completing = true;
}

void recorder_sent(struct core *c, struct call *call)
{
    struct recorder_op *op = call->recorded;
    if (op == NULL) return;
    op->last_ns = recorder_now(c->recorder);
    if (op->call_ns == 0) {
        op->call_ns = op->last_ns;
        op->session = c->session.id;
    }
}

static void hear(struct recorder *r, uint64_t last_ns, uint16_t op, const struct reply_frame *reply)
{
    struct msg_ended ended;
    r->told_ns = last_ns;
    r->told_reason = 0;
    if (reply->status != HF_ESESSION || op_reply_type(op, reply->status) != &msg_ended_type) return;
    if (codec_decode(&msg_ended_type, reply->body, NULL, &ended) == HF_OK)
        r->told_reason = (int)ended.reason;
}

void recorder_hears(struct core *c, const struct call *call, uint16_t op,
                    const struct reply_frame *reply)
{
    if (c->recorder == NULL) return;
    uint64_t last_ns = c->recorder->keep_ns;
    if (call != NULL) last_ns = call->recorded != NULL ? call->recorded->last_ns : 0;
    hear(c->recorder, last_ns, op, reply);
}

/* ------------------------------------------------------------------ the session */

void recorder_keep_sent(struct core *c)
{
    if (c->recorder != NULL) c->recorder->keep_ns = recorder_now(c->recorder);
}

static const struct lost_item *find_loss(const struct msg_keep_reply *keep, uint64_t token)
{
    const struct lost_item *lost = keep->lost.items;
    for (uint32_t i = 0; i < keep->lost.count; i++) {
        if (lost[i].fencing_token == token) return &lost[i];
    }
    return NULL;
}

/* How long the grant stands at least, from the send of the KEEP on. */
static uint64_t find_ttl(const struct core *c, const struct recorder_grant *g,
                         const struct msg_keep_reply *keep)
{
    const struct left_item *holds = keep->holds.items;
    uint64_t ttl_ms = c->config.ttl_ms;
    if (!g->held_for) return ttl_ms;
    for (uint32_t i = 0; i < keep->holds.count; i++) {
        if (holds[i].fencing_token == g->token)
            return holds[i].left_ms < ttl_ms ? holds[i].left_ms : ttl_ms;
    }
    return 0;
}

static void write_renewal(struct core *c, struct recorder_grant *g, uint64_t ttl_ms)
{
    struct recorder *r = c->recorder;
    struct recorder_line line = line_of(g, "renew");
    recorder_number(&line.args, "ttl_ms", ttl_ms);
    if (!g->attempt) recorder_owner(&line.args, c->session.id, g->owner);
    line.call_ns = g->seen_ns = r->keep_ns;
    line.ret_ns = recorder_now(r);
    recorder_emit(c, &line);
}

/* A server told that a grant has ended: by its lease or hold, which must have been over, or by an
 * act that ends what has not run out. Of an attempt that lapses, its token is still good: nothing
 * of it can be said. */
static void write_loss(struct core *c, const struct recorder_grant *g, int reason, uint64_t told_ns)
{
    bool ran_out = reason == END_EXPIRED || reason == END_HOLD_MAX || reason == 0;
    if (ran_out && g->attempt) return;
    struct recorder_line line = line_of(g, ran_out ? "renew" : g->attempt ? "abandon" : "release");
    if (!g->attempt) recorder_owner(&line.args, c->session.id, g->owner);
    if (ran_out) {
        recorder_number(&line.args, "ttl_ms", 0);
        line.outcome = RECORDED_FAIL;
        line.error = "not_held";
    } else {
        recorder_number(&line.args, g->attempt ? "if_any" : "all", 1);
    }
    line.call_ns = ran_out ? told_ns : g->seen_ns;
    line.ret_ns = recorder_now(c->recorder);
    recorder_emit(c, &line);
}

void recorder_kept(struct core *c, const struct msg_keep_reply *keep)
{
    struct recorder *r = c->recorder;
    if (r == NULL) return;
    LIST_FOR(item, &c->grants.alive)
    {
        const struct slot *s = HF_CONTAINER_OF(item, struct slot, link);
        struct recorder_grant *g = recorder_find(r, s->token);
        if (g == NULL || !g->bound) continue;
        const struct lost_item *loss = find_loss(keep, s->token);
        bool known = s->since_ns <= c->session.send_ns;
        if (loss != NULL) {
            write_loss(c, g, (int)loss->reason, r->keep_ns);
        } else if (keep->more == 0 && known && !g->completing) {
            write_renewal(c, g, find_ttl(c, g, keep));
        }
    }
    const struct lost_item *lost = keep->lost.items;
    for (uint32_t i = 0; i < keep->lost.count; i++) recorder_forget(r, lost[i].fencing_token);
}

/* ------------------------------------------------------------------ CLOSE, and other ends */

static void write_end(struct core *c, const struct recorder_grant *g, const struct recorder_op *op,
                      enum recorder_outcome outcome)
{
    struct recorder_line line = line_of(g, g->attempt ? "abandon" : "release");
    if (!g->attempt) recorder_owner(&line.args, op->session, g->owner);
    if (!g->attempt && g->token != 0) recorder_number(&line.args, "all", 1);
    if (g->token != 0) recorder_number(&line.args, "if_any", 1);
    line.outcome = outcome;
    line.call_ns = op->call_ns;
    if (outcome != RECORDED_UNKNOWN) line.ret_ns = recorder_now(c->recorder);
    recorder_emit(c, &line);
}

/* An acquire that is not answered, as the end of what it may have brought. */
static void write_end_of_unknown(struct core *c, const struct call *call,
                                 const struct recorder_op *op, enum recorder_outcome outcome)
{
    struct msg_acquire acquire;
    struct recorder_grant g = {0};
    if (call->recorded == NULL || call->recorded->call_ns == 0) return;
    if (call->op->code != OP_CODE_ACQUIRE) return;
    arena_reset(&c->recorder->arena);
    int rv =
        codec_decode(&msg_acquire_type, buffer_slice(&call->body), &c->recorder->arena, &acquire);
    if (rv != HF_OK) return;
    g.owner = acquire.owner;
    if (pack_names(&g.names, acquire.names.items, acquire.names.count))
        write_end(c, &g, op, outcome);
    else
        c->recorder->sink->broken_cb(c->recorder->sink->data);
    free(g.names.packed);
}

void recorder_write_close(struct core *c, const struct recorder_op *op,
                          enum recorder_outcome outcome)
{
    struct recorder *r = c->recorder;
    for (uint32_t i = 0; i < r->grant_count; i++) {
        if (r->grants[i].bound) write_end(c, &r->grants[i], op, outcome);
    }
    for (uint32_t i = 0; i < c->call_count; i++) {
        write_end_of_unknown(c, c->calls[i], op, outcome);
    }
    forget_bound(c);
}

static struct call *find_close(const struct core *c)
{
    for (uint32_t i = 0; i < c->call_count; i++) {
        struct call *call = c->calls[i];
        if (call->recorded == NULL || call->recorded->call_ns == 0) continue;
        if (call->op->code == OP_CODE_CLOSE) return call;
    }
    return NULL;
}

void recorder_session_end(struct core *c, int status, int reason)
{
    struct recorder *r = c->recorder;
    if (r == NULL) return;
    struct call *close = c->closing ? find_close(c) : NULL;
    if (close != NULL) {
        bool ended = status == HF_ESESSION || status == HF_ESESSIONUNKNOWN;
        recorder_write_close(c, close->recorded, ended ? RECORDED_OK : RECORDED_UNKNOWN);
        recorder_free_op(close->recorded);
        close->recorded = NULL;
    }
    if (r->told_reason != 0) reason = r->told_reason;
    LIST_FOR(item, &c->grants.alive)
    {
        const struct slot *s = HF_CONTAINER_OF(item, struct slot, link);
        const struct recorder_grant *g = recorder_find(r, s->token);
        if (status == HF_ESESSION && g != NULL && g->bound) write_loss(c, g, reason, r->told_ns);
    }
    forget_bound(c);
}

/* ------------------------------------------------------------------ ABANDON */

void recorder_abandon(struct core *c, struct abandon *a)
{
    if (c->recorder == NULL || recorder_find(c->recorder, a->token) == NULL) return;
    HF_ASSERT(a->recorded == NULL);
    a->recorded = make_op(c->recorder, a->token);
}

void recorder_abandon_sent(struct core *c, struct abandon *a)
{
    if (a->recorded == NULL) return;
    a->recorded->last_ns = recorder_now(c->recorder);
    a->recorded->sends += 1;
    if (a->recorded->call_ns != 0) return;
    a->recorded->call_ns = a->recorded->last_ns;
    a->recorded->session = c->session.id;
}

void recorder_hears_abandon(struct core *c, const struct abandon *a,
                            const struct reply_frame *reply)
{
    if (c->recorder == NULL) return;
    hear(c->recorder, a->recorded != NULL ? a->recorded->last_ns : 0, OP_CODE_ABANDON, reply);
}

static void write_abandon(struct core *c, struct abandon *a, const char *error, bool if_any,
                          enum recorder_outcome outcome)
{
    struct recorder_op *op = a->recorded;
    struct recorder_line line = {.model = op->attempt ? "idem" : "lock",
                                 .op = op->attempt ? "abandon" : "release",
                                 .call_ns = op->call_ns,
                                 .outcome = outcome,
                                 .error = error};
    recorder_set_names(&line, &op->names);
    line.part = line.key;
    recorder_number(&line.args, "token", a->token);
    if (!op->attempt) {
        recorder_owner(&line.args, op->session, op->owner);
        recorder_number(&line.args, "all", 1);
    }
    if (if_any) recorder_number(&line.args, "if_any", 1);
    if (outcome != RECORDED_UNKNOWN) line.ret_ns = recorder_now(c->recorder);
    if (op->call_ns != 0) recorder_emit(c, &line);
    recorder_free_op(op);
    a->recorded = NULL;
}

/* ABANDON has no number: of several sends the first may have ended what the last did not find. */
void recorder_abandon_answer(struct core *c, struct abandon *a, int status)
{
    if (a->recorded == NULL) return;
    bool attempt = a->recorded->attempt;
    bool gone = status == HF_ENOTHELD || status == HF_ENOTOWNER || status == HF_ESESSION;
    if (status == HF_OK) {
        write_abandon(c, a, NULL, false, RECORDED_OK);
    } else if (gone && a->recorded->sends > 1) {
        write_abandon(c, a, NULL, true,
                      attempt && status != HF_ENOTHELD ? RECORDED_UNKNOWN : RECORDED_OK);
    } else if (gone) {
        const char *error = !attempt                ? "not_held"
                            : status == HF_ENOTHELD ? "stale_token"
                                                    : "refused";
        write_abandon(c, a, error, false, RECORDED_FAIL);
    } else {
        write_abandon(c, a, NULL, false, RECORDED_UNKNOWN);
    }
    if (gone || status == HF_OK) recorder_forget(c->recorder, a->token);
}

void recorder_abandon_over(struct core *c, struct abandon *a)
{
    if (a->recorded != NULL) write_abandon(c, a, NULL, false, RECORDED_UNKNOWN);
}
