/* Reads: sent on any connection, repeated over others until the time-out, decoded here on the
 * caller's thread, so that a broken answer is one call's HF_ECORRUPT and nobody else's. */
#include "client/raw.h"

#include <stdio.h>

#include "client/shell.h"

static int decode(struct call *call, struct arena *arena, void *answer)
{
    struct slice bytes = buffer_slice(&call->reply);
    void *copy = arena_take(arena, bytes.size > 0 ? bytes.size : 1);
    if (copy == NULL) return HF_ENOMEM;
    if (bytes.size > 0) memcpy(copy, bytes.data, bytes.size);
    int rv = codec_decode(call->op->answer, slice_make(copy, bytes.size), arena, answer);
    return rv == HF_OK || rv == HF_ENOMEM ? rv : HF_ECORRUPT;
}

int raw_call(hf_client *client, uint16_t op, const void *request, struct arena *arena, void *answer)
{
    HF_ASSERT(op_find(op) != NULL);
    HF_ASSERT((op_find(op)->traits & (OP_READ | OP_DOOR)) != 0);
    struct call *call;
    int rv = shell_begin(client, op, request, &call);
    if (rv != HF_OK) return rv;
    call->fate = FATE_REPEAT;
    call->wants_reply = true;
    int verdict = shell_run(client, call, 0);
    if (verdict == HF_OK) verdict = decode(call, arena, answer);
    return shell_end(client, call, verdict, NULL);
}

bool raw_endpoint(hf_client *client, char *out)
{
    out[0] = '\0';
    if (shell_enter(client) != HF_OK) return false;
    const char *target = core_target(&client->core);
    memcpy(out, target, strlen(target) + 1);
    bool stands = client->core.link.state >= LINK_OPEN;
    pthread_mutex_unlock(&client->lock);
    return stands;
}
