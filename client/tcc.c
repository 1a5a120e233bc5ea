/* Branches: a phase is asked for by one numbered request and ended by another. The handle keeps the
 * answer and the phase's local deadline, which nothing moves: it has no slot among the grants, is
 * not extended, and nothing is told when it has passed. Failure mode: a phase that nobody took up,
 * as its caller had gone, lapses by its lease. docs/contract.md, section 7. */
#include "client/include/holdfast_tcc.h"

#include <stdlib.h>

#include "client/look.h"
#include "client/shell.h"

enum { LEASE_MS_DEFAULT = 30000 };
#define BRANCH_RETAIN_MS_DEFAULT (UINT64_C(7) * 86400000)

struct hf_branch {
    hf_client *client;               /**< whose */
    bool open;                       /**< to be executed, and its end is not known */
    bool ending;                     /**< BRANCH_DONE is under way */
    uint64_t deadline_ns;            /**< of the phase; 0 = not to be executed */
    hf_branch_view view;             /**< for hf_branch_look() */
    struct buffer reply;             /**< owned: what `view` points to */
    char gid[NAME_BYTES_MAX + 1];    /**< which */
    char branch[NAME_BYTES_MAX + 1]; /**< likewise */
};

/* ------------------------------------------------------------------ asking */

static void fill_view(hf_branch *branch, const struct msg_branch_reply *reply)
{
    branch->view = (hf_branch_view){
        .verdict = (int)reply->verdict,
        .fencing_token = reply->fencing_token,
        .attempt = (uint32_t)reply->attempt,
        .takeover = (int)reply->takeover,
        .state = (int)reply->state,
        .tried = (int)reply->tried,
        .outcome = (int)reply->outcome,
        .code = (uint32_t)reply->code,
        .body = reply->body.size > 0 ? reply->body.data : NULL,
        .body_bytes = reply->body.size,
        .done_at_ms = reply->done_at_ms,
    };
}

/* A repeated answer may tell of a phase that has gone to somebody else, or of a result that has
 * gone altogether. */
static int judge(const struct call *call, const struct msg_branch_reply *reply)
{
    bool repeated = (call->flags & REPLY_REPEATED) != 0;
    bool stands = (call->flags & REPLY_STANDS) != 0;
    if (reply->verdict == BRANCH_EXECUTE && repeated && !stands) return HF_ELOST;
    return reply->referent == REFERENT_GONE ? HF_EREPLYGONE : HF_OK;
}

/* take_cb of a question. */
static int take(struct call *call, int verdict)
{
    hf_client *client = call->handle;
    struct msg_branch request;
    struct msg_branch_reply reply;
    if (verdict != HF_OK || call->cancelling) return verdict;
    int rv = codec_decode(&msg_branch_reply_type, buffer_slice(&call->reply), NULL, &reply);
    if (rv != HF_OK) return HF_ECORRUPT;
    rv = judge(call, &reply);
    if (rv != HF_OK) return rv;
    hf_branch *branch = calloc(1, sizeof *branch);
    if (branch == NULL) return HF_ENOMEM;
    branch->client = client;
    branch->reply = call->reply; /* taken over with what `reply` borrows, the call gets a new one */
    buffer_init(&call->reply, FRAME_BYTES_MAX);
    rv = codec_decode(&msg_branch_type, buffer_slice(&call->body), NULL, &request);
    HF_ASSERT(rv == HF_OK); /* our own encoding */
    memcpy(branch->gid, request.gid.data, request.gid.size);
    memcpy(branch->branch, request.branch.data, request.branch.size);
    fill_view(branch, &reply);
    branch->open = reply.verdict == BRANCH_EXECUTE;
    if (branch->open)
        branch->deadline_ns = core_deadline(&client->core, call->first_send_ns, request.lease_ms);
    *(hf_branch **)call->output = branch;
    return HF_OK;
}

int hf_branch_ask_async(hf_client *client, const hf_branch_how *how, hf_branch **branch,
                        hf_request *request, hf_done_cb done_cb, void *data, hf_call *call)
{
    struct call *made;
    const char *sentence;
    if (client == NULL || how == NULL || branch == NULL || done_cb == NULL) return HF_EINVAL;
    const struct msg_branch ask = {
        .gid = shell_text(how->gid),
        .branch = shell_text(how->branch),
        .step = shell_text(how->step),
        .op = (uint64_t)(int64_t)how->op,
        .fingerprint = slice_make(how->fingerprint, HF_FINGERPRINT_BYTES),
        .lease_ms = how->lease_ms != 0 ? how->lease_ms : LEASE_MS_DEFAULT,
        .retain_ms = how->retain_ms != 0 ? how->retain_ms : BRANCH_RETAIN_MS_DEFAULT,
    };
    if (op_check(OP_CODE_BRANCH, &ask, &sentence) != HF_OK) return HF_EINVAL;
    int rv = shell_begin(client, OP_CODE_BRANCH, &ask, &made);
    if (rv != HF_OK) return rv;
    made->fate = request != NULL ? FATE_HOLD : FATE_REPEAT;
    made->wants_reply = true;
    made->output = branch;
    made->handle = client;
    made->take_cb = take;
    shell_submit(client, made, 0, &(struct ending){done_cb, data, request, call});
    return HF_OK;
}

int hf_branch_ask(hf_client *client, const hf_branch_how *how, hf_branch **branch,
                  hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_branch_ask_async(client, how, branch, request, shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ ending */

/* take_cb of an end. */
static int take_end(struct call *call, int verdict)
{
    hf_branch *branch = call->handle; /* NULL: freed meanwhile */
    if (branch == NULL) return verdict;
    branch->ending = verdict == HF_EUNKNOWN && !call->cancelling;
    if (verdict == HF_OK || verdict == HF_ECONFLICT || verdict == HF_ESTALE) branch->open = false;
    return verdict;
}

int hf_branch_done_async(hf_branch *branch, int outcome, uint32_t code, const void *body,
                         size_t body_bytes, hf_request *request, hf_done_cb done_cb, void *data,
                         hf_call *call)
{
    struct call *made;
    if (branch == NULL || done_cb == NULL || (body == NULL && body_bytes > 0)) return HF_EINVAL;
    if (branch->view.verdict != HF_BRANCH_EXECUTE) return HF_EBADSTATE;
    const struct msg_branch_done done = {
        .gid = slice_of(branch->gid),
        .branch = slice_of(branch->branch),
        .fencing_token = branch->view.fencing_token,
        .outcome = (uint64_t)(int64_t)outcome,
        .code = code,
        .body = slice_make(body, body_bytes),
    };
    int rv = shell_begin(branch->client, OP_CODE_BRANCH_DONE, &done, &made);
    if (rv != HF_OK) return rv;
    branch->ending = true;
    made->fate = request != NULL ? FATE_HOLD : FATE_REPEAT;
    made->handle = branch;
    made->take_cb = take_end;
    shell_submit(branch->client, made, 0, &(struct ending){done_cb, data, request, call});
    return HF_OK;
}

int hf_branch_done(hf_branch *branch, int outcome, uint32_t code, const void *body,
                   size_t body_bytes, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_branch_done_async(branch, outcome, code, body, body_bytes, request,
                                                shell_wake, &w, NULL));
}

/* What is under way goes on without it; what was not ended is given back. With the lock held. */
static void let_go(hf_branch *branch)
{
    struct core *core = &branch->client->core;
    LIST_FOR(item, &core->active)
    {
        struct call *call = HF_CONTAINER_OF(item, struct call, link);
        if (call->handle == branch) call->handle = NULL;
    }
    if (!branch->open || branch->ending) return;
    uint64_t now_ns = shell_now(branch->client);
    core_abandon(core, branch->view.fencing_token, now_ns);
    core_pump(core, now_ns);
}

void hf_branch_free(hf_branch *branch)
{
    if (branch == NULL) return;
    if (branch->view.verdict == HF_BRANCH_EXECUTE && shell_enter(branch->client) == HF_OK) {
        let_go(branch);
        shell_leave(branch->client);
    }
    buffer_close(&branch->reply);
    free(branch);
}

/* ------------------------------------------------------------------ looking, without the lock */

const hf_branch_view *hf_branch_look(const hf_branch *branch)
{
    return &branch->view;
}

static uint64_t left_ns(const hf_branch *branch)
{
    if (branch == NULL || branch->deadline_ns == 0) return 0;
    uint64_t now_ns = shell_now(branch->client); /* first, as in hf_grant_valid() */
    if (branch->client->fork_count != shell_fork_count()) return 0;
    return branch->deadline_ns > now_ns ? branch->deadline_ns - now_ns : 0;
}

int hf_branch_valid(const hf_branch *branch, uint64_t need_ms)
{
    uint64_t left = left_ns(branch);
    return left > 0 && left / 1000000 >= need_ms;
}

uint64_t hf_branch_left_ms(const hf_branch *branch)
{
    return left_ns(branch) / 1000000;
}

_Static_assert((int)HF_BRANCH_CANCEL == (int)BRANCH_CANCEL, "the wire's numbers");
_Static_assert((int)HF_BRANCH_EMPTY_ROLLBACK == (int)BRANCH_EMPTY_ROLLBACK, "likewise");
_Static_assert((int)HF_BRANCH_CANCELLED == (int)BRANCH_CANCELLED, "likewise");
_Static_assert((int)HF_TRY_UNKNOWN == (int)BRANCH_TRY_UNKNOWN, "likewise");
