/* Attempts at records: begun, marked, extended, completed, or given back. A record's struct owns
 * the bytes of the answer to its BEGIN, and the view that hf_record_look() shows points into them.
 * The key lives in it, too, for the calls under its token. docs/contract.md, section 6. */
#include "client/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "protocol/scan.h"

struct hf_record {
    hf_client *client;                       /**< its client */
    bool completing;                         /**< a COMPLETE is under way */
    struct grant_ref grant;                  /**< the attempt; generation 0 = a replay */
    struct buffer reply;                     /**< owned: what `view` points to */
    hf_record_view view;                     /**< for hf_record_look() */
    char key[NAME_BYTES_MAX + 1];            /**< the record's */
    char checkpoint[NAME_BYTES_MAX + 1];     /**< the last one's name, NUL-terminated */
    char secret_id[SECRET_ID_BYTES_MAX + 1]; /**< likewise, of the secret that the record names */
};

void hf_fingerprint(const void *data, size_t bytes, uint8_t out[HF_FINGERPRINT_BYTES])
{
    sha256(data, bytes, out);
}

/* ------------------------------------------------------------------ begin */

static void fill_view(hf_record *record, const struct msg_begin_reply *begun)
{
    if (begun->checkpoint.size > 0)
        memcpy(record->checkpoint, begun->checkpoint.data, begun->checkpoint.size);
    if (begun->secret_id.size > 0)
        memcpy(record->secret_id, begun->secret_id.data, begun->secret_id.size);
    record->view = (hf_record_view){
        .verdict = (int)begun->verdict,
        .fencing_token = begun->verdict == BEGIN_REPLAY ? 0 : begun->fencing_token,
        .attempt = (uint32_t)begun->attempt,
        .checkpoint = record->checkpoint,
        .checkpoint_number = begun->checkpoint_number,
        .external = (int)begun->external,
        .checkpoint_data = begun->checkpoint_data.data,
        .checkpoint_bytes = begun->checkpoint_data.size,
        .outcome = (int)begun->outcome,
        .code = (uint32_t)begun->code,
        .headers = begun->headers.data,
        .headers_bytes = begun->headers.size,
        .body = begun->body.data,
        .body_bytes = begun->body.size,
        .done_at_ms = begun->done_at_ms,
        .secret_id = record->secret_id,
        .body_kind = (int)begun->body_kind,
    };
}

int record_new(hf_client *client, struct slice begin, struct buffer *reply, struct grant_ref grant,
               hf_record **out)
{
    hf_record *record = calloc(1, sizeof *record);
    if (record == NULL) return HF_ENOMEM;
    record->client = client;
    record->grant = grant;
    record->reply = *reply; /* taken over, the caller gets an empty one */
    buffer_init(reply, FRAME_BYTES_MAX);
    struct msg_begin request;
    struct msg_begin_reply begun;
    int rv = codec_decode(&msg_begin_type, begin, NULL, &request);
    HF_ASSERT(rv == HF_OK);
    rv = codec_decode(&msg_begin_reply_type, buffer_slice(&record->reply), NULL, &begun);
    HF_ASSERT(rv == HF_OK); /* the core has decoded it before */
    memcpy(record->key, request.key.data, request.key.size);
    fill_view(record, &begun);
    *out = record;
    return HF_OK;
}

/* take_cb of a begin. */
static int take(struct call *call, int verdict)
{
    if (verdict != HF_OK || call->cancelling) return verdict;
    hf_client *client = call->handle;
    int rv = record_new(client, buffer_slice(&call->body), &call->reply, call->grant, call->output);
    if (rv != HF_OK) core_drop_grant(&client->core, call->grant, shell_now(client));
    return rv;
}

/* The secret of a new record. A client that was given none leaves ids to its application. */
static int find_secret(const hf_client *client, const hf_begin *how, struct slice *id)
{
    const struct secrets *secrets = &client->secrets;
    *id = shell_text(how->secret_id);
    if (secrets->count == 0 || (how->secret_id != NULL && id->size == 0)) return HF_OK;
    if (how->secret_id == NULL) *id = slice_of(secrets->items[0].id);
    return secrets_know(secrets, *id) ? HF_OK : HF_ENOKEY;
}

int record_ask(const hf_client *client, const char *key, const hf_begin *how,
               struct msg_begin *begin)
{
    *begin = (struct msg_begin){
        .key = slice_of(key),
        .fingerprint = slice_make(how->fingerprint, HF_FINGERPRINT_BYTES),
        .lease_ms = how->lease_ms,
        .retain_ms = how->retain_ms != 0 ? how->retain_ms : RETAIN_MS_DEFAULT,
        .takeover = (uint64_t)(int64_t)how->takeover,
        .wait_ms = how->wait_ms,
        .born_ms = how->born_ms,
        .guard_name = shell_text(how->guard_name),
        .guard_token = how->guard_token,
        .meta = slice_make(how->meta, how->meta != NULL ? how->meta_bytes : 0),
    };
    return find_secret(client, how, &begin->secret_id);
}

int hf_record_begin_async(hf_client *client, const char *key, const hf_begin *how,
                          hf_record **record, hf_request *request, hf_done_cb done_cb, void *data,
                          hf_call *call)
{
    if (client == NULL || key == NULL || how == NULL || record == NULL) return HF_EINVAL;
    if (done_cb == NULL) return HF_EINVAL;
    struct msg_begin begin;
    struct call *made;
    int rv = record_ask(client, key, how, &begin);
    if (rv == HF_OK) rv = shell_begin(client, OP_CODE_BEGIN, &begin, &made);
    if (rv != HF_OK) return rv;
    made->fate = request != NULL ? FATE_HOLD : FATE_CANCEL;
    made->hold_ms = how->lease_ms;
    made->wants_reply = true;
    made->output = record;
    made->handle = client;
    made->take_cb = take;
    shell_submit(client, made, how->wait_ms, &(struct ending){done_cb, data, request, call});
    return HF_OK;
}

int hf_record_begin(hf_client *client, const char *key, const hf_begin *how, hf_record **record,
                    hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(
        &w, hf_record_begin_async(client, key, how, record, request, shell_wake, &w, NULL));
}

const hf_record_view *hf_record_look(const hf_record *record)
{
    return &record->view;
}

int hf_derive(const hf_client *client, const char *secret_id, const char *key, const char *step,
              char out[HF_DERIVED_BYTES])
{
    if (client == NULL || secret_id == NULL || key == NULL || step == NULL || out == NULL) {
        return HF_EINVAL;
    }
    if (client->fork_count != shell_fork_count()) return HF_ECLOSED;
    const struct slice parts[] = {slice_of(key), slice_of(step)};
    for (size_t i = 0; i < HF_ARRAY_COUNT(parts); i++) {
        bool fits = parts[i].size >= 1 && parts[i].size <= NAME_BYTES_MAX;
        if (!fits || !scan_is_text(parts[i])) return HF_EINVAL;
    }
    return secrets_derive(&client->secrets, slice_of(secret_id), parts[0], parts[1], out);
}

int hf_record_derive(const hf_record *record, const char *step, char out[HF_DERIVED_BYTES])
{
    if (record == NULL) return HF_EINVAL;
    return hf_derive(record->client, record->secret_id, record->key, step, out);
}

/* What is under way goes on without it. With the lock held. */
static void leave_calls(hf_record *record)
{
    LIST_FOR(item, &record->client->core.active)
    {
        struct call *call = HF_CONTAINER_OF(item, struct call, link);
        if (call->handle == record) call->handle = NULL;
    }
}

void hf_record_free(hf_record *record)
{
    if (record == NULL) return;
    hf_client *client = record->client;
    if (record->grant.generation != 0 && shell_enter(client) == HF_OK) {
        leave_calls(record);
        bool ends = core_txn_ends(&client->core, record->view.fencing_token) > 0;
        if (record->completing || ends) {
            core_forget_grant(&client->core, record->grant);
        } else {
            core_drop_grant(&client->core, record->grant, shell_now(client));
        }
        shell_leave(client);
    }
    buffer_close(&record->reply);
    free(record);
}

/* ------------------------------------------------------------------ under the attempt's token */

/* Is there an attempt, and may this call still be of use? With `late`, also when it was declared
 * lost: the servers decide. */
static int look_first(const hf_record *record, bool late)
{
    if (record == NULL) return HF_EINVAL;
    if (record->view.fencing_token == 0) return HF_EBADSTATE; /* a replay */
    return !late && hf_record_state(record) == HF_GRANT_LOST ? HF_ELOST : HF_OK;
}

/* take_cb of a completion: one that is held, or repeated, goes on; the attempt is not given back.
 */
static int take_completion(struct call *call, int verdict)
{
    hf_record *record = call->handle; /* NULL: freed meanwhile */
    if (record != NULL) record->completing = verdict == HF_EUNKNOWN && !call->cancelling;
    return verdict;
}

static int run(hf_record *record, uint16_t op, const void *message, uint64_t lease_ms,
               const struct ending *to)
{
    hf_client *client = record->client;
    struct call *call;
    int rv = shell_begin(client, op, message, &call);
    if (rv != HF_OK) return rv;
    call->fate = to->request != NULL ? FATE_HOLD : FATE_REPEAT;
    call->grant = record->grant;
    call->hold_ms = lease_ms;
    call->handle = record;
    if (op == OP_CODE_COMPLETE) {
        record->completing = true;
        call->take_cb = take_completion;
    }
    shell_submit(client, call, 0, to);
    return HF_OK;
}

int hf_record_extend_async(hf_record *record, uint64_t lease_ms, hf_request *request,
                           hf_done_cb done_cb, void *data, hf_call *call)
{
    int rv = done_cb != NULL ? look_first(record, false) : HF_EINVAL;
    if (rv != HF_OK) return rv;
    struct msg_extend extend = {slice_of(record->key), record->view.fencing_token, lease_ms};
    return run(record, OP_CODE_EXTEND, &extend, lease_ms,
               &(struct ending){done_cb, data, request, call});
}

int hf_record_extend(hf_record *record, uint64_t lease_ms, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_record_extend_async(record, lease_ms, request, shell_wake, &w, NULL));
}

int hf_record_checkpoint_async(hf_record *record, const char *name, uint64_t number, int mark,
                               const void *bytes, size_t byte_count, hf_request *request,
                               hf_done_cb done_cb, void *data, hf_call *call)
{
    int rv = done_cb != NULL ? look_first(record, false) : HF_EINVAL;
    if (rv != HF_OK) return rv;
    if (bytes == NULL && byte_count > 0) return HF_EINVAL;
    struct msg_checkpoint checkpoint = {
        .key = slice_of(record->key),
        .fencing_token = record->view.fencing_token,
        .name = shell_text(name),
        .number = number,
        .data = slice_make(bytes, byte_count),
        .external = (uint64_t)(int64_t)mark,
    };
    return run(record, OP_CODE_CHECKPOINT, &checkpoint, 0,
               &(struct ending){done_cb, data, request, call});
}

int hf_record_checkpoint(hf_record *record, const char *name, uint64_t number, int mark,
                         const void *data, size_t bytes, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_record_checkpoint_async(record, name, number, mark, data, bytes,
                                                      request, shell_wake, &w, NULL));
}

static const hf_result nothing;

static struct msg_complete message_of(const char *key, uint64_t token, int outcome,
                                      const hf_result *result)
{
    if (result == NULL) result = &nothing;
    return (struct msg_complete){
        .key = slice_of(key),
        .fencing_token = token,
        .outcome = (uint64_t)(int64_t)outcome,
        .code = result->code,
        .headers = slice_make(result->headers, result->headers != NULL ? result->headers_bytes : 0),
        .body = slice_make(result->body, result->body != NULL ? result->body_bytes : 0),
        .body_kind = (uint64_t)(int64_t)result->body_kind,
    };
}

int hf_result_fits(const hf_result *result)
{
    const char *sentence;
    struct msg_complete complete = message_of("key", 1, HF_DONE, result);
    int rv = codec_check(&msg_complete_type, &complete);
    if (rv == HF_OK) rv = op_check(OP_CODE_COMPLETE, &complete, &sentence);
    return rv == HF_OK || rv == HF_ETOOLARGE ? rv : HF_EINVAL;
}

hf_result hf_result_shortened(const hf_result *result, const char *reference)
{
    hf_result shorter = *result;
    bool refers = reference != NULL && reference[0] != '\0';
    shorter.body = refers ? reference : NULL;
    shorter.body_bytes = refers ? strlen(reference) : 0;
    shorter.body_kind = refers ? HF_BODY_REFERENCE : HF_BODY_OMITTED;
    return shorter;
}

int record_end(const hf_record *record, int outcome, const hf_result *result,
               struct msg_complete *complete)
{
    int rv = look_first(record, true);
    if (rv == HF_OK)
        *complete = message_of(record->key, record->view.fencing_token, outcome, result);
    return rv;
}

int hf_record_complete_async(hf_record *record, int outcome, const hf_result *result,
                             hf_request *request, hf_done_cb done_cb, void *data, hf_call *call)
{
    struct msg_complete complete;
    int rv = done_cb != NULL ? record_end(record, outcome, result, &complete) : HF_EINVAL;
    if (rv != HF_OK) return rv;
    return run(record, OP_CODE_COMPLETE, &complete, 0,
               &(struct ending){done_cb, data, request, call});
}

int hf_record_complete(hf_record *record, int outcome, const hf_result *result, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(
        &w, hf_record_complete_async(record, outcome, result, request, shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ looking, without the lock */

static uint64_t left_ns(const hf_record *record)
{
    if (record == NULL || record->grant.generation == 0) return 0;
    const hf_client *client = record->client;
    uint64_t now_ns = shell_now(client); /* first, as in hf_grant_valid() */
    if (client->fork_count != shell_fork_count()) return 0;
    return grants_left_ns(&client->core.grants, record->grant, now_ns);
}

int hf_record_valid(const hf_record *record, uint64_t need_ms)
{
    uint64_t left = left_ns(record);
    return left > 0 && left / 1000000 >= need_ms;
}

uint64_t hf_record_left_ms(const hf_record *record)
{
    return left_ns(record) / 1000000;
}

int hf_record_state(const hf_record *record)
{
    if (record == NULL || record->grant.generation == 0) return HF_GRANT_ENDED;
    const hf_client *client = record->client;
    uint64_t now_ns = shell_now(client);
    if (client->fork_count != shell_fork_count()) return HF_GRANT_ENDED;
    return (int)grants_state(&client->core.grants, record->grant, now_ns);
}

_Static_assert((int)HF_STARTED == (int)BEGIN_STARTED, "the wire's numbers");
_Static_assert((int)HF_REPLAY == (int)BEGIN_REPLAY, "likewise");
_Static_assert((int)HF_TAKEOVER == (int)BEGIN_TAKEOVER, "likewise");
_Static_assert((int)HF_DONE == (int)OUTCOME_DONE, "likewise");
_Static_assert((int)HF_RETRYABLE == (int)OUTCOME_RETRYABLE, "likewise");
_Static_assert((int)HF_FINGERPRINT_BYTES == (int)SHA256_BYTES, "a fingerprint is a SHA-256");
_Static_assert((int)HF_BODY_REFERENCE == (int)BODY_REFERENCE, "likewise");
_Static_assert((int)HF_BODY_GONE == (int)BODY_ERASED, "likewise");
