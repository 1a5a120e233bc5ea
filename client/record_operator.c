/* What an operator does to a record from outside its attempt: RESOLVE, REOPEN, ERASE. Each is one
 * numbered request; who and why go with it. docs/contract.md, section 6. */
#include "client/shell.h"

int hf_record_resolve_async(hf_client *client, const char *key, uint64_t fencing_token, int outcome,
                            const hf_result *result, const char *evidence,
                            const char *operator_name, hf_request *request, hf_done_cb done_cb,
                            void *data, hf_call *call)
{
    static const hf_result nothing;
    if (client == NULL || key == NULL || operator_name == NULL || done_cb == NULL) return HF_EINVAL;
    if (result == NULL) result = &nothing;
    struct msg_resolve resolve = {
        .key = slice_of(key),
        .fencing_token = fencing_token,
        .outcome = (uint64_t)(int64_t)outcome,
        .code = result->code,
        .headers = slice_make(result->headers, result->headers != NULL ? result->headers_bytes : 0),
        .body = slice_make(result->body, result->body != NULL ? result->body_bytes : 0),
        .body_kind = (uint64_t)(int64_t)result->body_kind,
        .evidence = shell_text(evidence),
        .operator_name = slice_of(operator_name),
    };
    return shell_act(client, OP_CODE_RESOLVE, &resolve,
                     &(struct ending){done_cb, data, request, call});
}

int hf_record_resolve(hf_client *client, const char *key, uint64_t fencing_token, int outcome,
                      const hf_result *result, const char *evidence, const char *operator_name,
                      hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_record_resolve_async(client, key, fencing_token, outcome, result,
                                                   evidence, operator_name, request, shell_wake, &w,
                                                   NULL));
}

int hf_record_reopen_async(hf_client *client, const char *key, uint64_t fencing_token, int outcome,
                           const char *reason, const char *operator_name, hf_request *request,
                           hf_done_cb done_cb, void *data, hf_call *call)
{
    if (client == NULL || key == NULL || operator_name == NULL || done_cb == NULL) return HF_EINVAL;
    struct msg_reopen reopen = {
        .key = slice_of(key),
        .fencing_token = fencing_token,
        .outcome = (uint64_t)(int64_t)outcome,
        .reason = shell_text(reason),
        .operator_name = slice_of(operator_name),
    };
    return shell_act(client, OP_CODE_REOPEN, &reopen,
                     &(struct ending){done_cb, data, request, call});
}

int hf_record_reopen(hf_client *client, const char *key, uint64_t fencing_token, int outcome,
                     const char *reason, const char *operator_name, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_record_reopen_async(client, key, fencing_token, outcome, reason,
                                                  operator_name, request, shell_wake, &w, NULL));
}

int hf_record_erase_async(hf_client *client, const char *key, const char *reason,
                          const char *operator_name, hf_request *request, hf_done_cb done_cb,
                          void *data, hf_call *call)
{
    if (client == NULL || key == NULL || operator_name == NULL || done_cb == NULL) return HF_EINVAL;
    struct msg_erase erase = {
        .key = slice_of(key),
        .reason = shell_text(reason),
        .operator_name = slice_of(operator_name),
    };
    return shell_act(client, OP_CODE_ERASE, &erase, &(struct ending){done_cb, data, request, call});
}

int hf_record_erase(hf_client *client, const char *key, const char *reason,
                    const char *operator_name, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_record_erase_async(client, key, reason, operator_name, request,
                                                 shell_wake, &w, NULL));
}
