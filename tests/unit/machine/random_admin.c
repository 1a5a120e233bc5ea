/* What administrators do in the random test: see random_world.h. */
#include "base/status.h"
#include "tests/unit/machine/random_world.h"

/* An administrator takes anybody's grant away. */
void random_force(struct world *w, unsigned session)
{
    struct model_session *s = &w->model.sessions[session];
    uint64_t holder = w->model.sessions[below(w, MODEL_SESSIONS)].id;
    unsigned at;
    if (w->op_count != 0 || holder == 0 || !random_find_held(w, holder, &at)) return;
    const struct model_user *held = &w->model.grants[at];
    struct msg_force request = {
        .name = slice_of(random_name_of(w, held)),
        .fencing_token = held->token,
        .now = below(w, 4) == 0,
        .reason = slice_of("by chance"),
        .operator_name = slice_of("dice"),
    };
    struct envelope envelope = envelope_for(s->id, ++w->seqs[session]);
    random_expect(w, HF_OK);
    renew(s, w->f->now_ms); /* before: the holder may be the one who forces */
    model_force(&w->model, at, request.now == 1);
    add_op(w->f, OP_CODE_FORCE, &envelope, &request);
}

/* An administrator asks anybody's grant back, or changes what was asked. */
void random_revoke(struct world *w, unsigned session)
{
    static const uint64_t graces_ms[] = {1, 200, 1500, 8000};
    struct model_session *s = &w->model.sessions[session];
    uint64_t holder = w->model.sessions[below(w, MODEL_SESSIONS)].id;
    unsigned at;
    if (w->op_count != 0 || holder == 0 || !random_find_held(w, holder, &at)) return;
    const struct model_user *held = &w->model.grants[at];
    struct msg_revoke request = {
        .name = slice_of(random_name_of(w, held)),
        .fencing_token = held->token,
        .grace_ms = graces_ms[below(w, HF_ARRAY_COUNT(graces_ms))],
        .then = below(w, 3) == 0,
        .reason = slice_of("by chance"),
        .operator_name = slice_of("dice"),
    };
    struct envelope envelope = envelope_for(s->id, ++w->seqs[session]);
    random_expect(w, HF_OK);
    renew(s, w->f->now_ms);
    model_revoke(&w->model, at, w->f->now_ms + request.grace_ms, request.then == 1);
    add_op(w->f, OP_CODE_REVOKE, &envelope, &request);
}

/* Freeze one of a few prefixes, or thaw it; locks under two of them stay frozen. */
void random_freeze(struct world *w, unsigned session)
{
    static const char *const prefixes[] = {"", "a", "a/", "b"};
    static const unsigned covers[] = {15, 3, 2, 4}; /* of lock_names, as bits */
    struct model_session *s = &w->model.sessions[session];
    unsigned at = (unsigned)below(w, HF_ARRAY_COUNT(prefixes));
    bool frozen = (w->frozen >> at & 1) != 0;
    if (!frozen && below(w, 2) == 0) return; /* thaws come more often */
    struct msg_freeze request = {
        .prefix = slice_of(prefixes[at]),
        .reason = slice_of("chance"),
        .operator_name = slice_of("dice"),
    };
    struct envelope envelope = envelope_for(s->id, ++w->seqs[session]);
    random_expect(w, HF_OK);
    add_op(w->f, frozen ? OP_CODE_THAW : OP_CODE_FREEZE, &envelope, &request);
    w->frozen ^= 1U << at;
    unsigned bits = 0;
    for (unsigned i = 0; i < HF_ARRAY_COUNT(prefixes); i++) {
        if ((w->frozen >> i & 1) != 0) bits |= covers[i];
    }
    model_freeze(&w->model, bits);
    renew(s, w->f->now_ms);
}
