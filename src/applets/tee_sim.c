/* SPDX-License-Identifier: Apache-2.0 */
/* otrp tee-sim: the software TEE, one command for each thing one does with a device. */
#include "applets/tee_sim.h"

device *tee_sim_open(const struct applet_call *call, const char *state, const char *name, long wait,
                     struct error *err)
{
    device *dev = device_open(state, name, err);
    if (dev)
        dev->clock = call->clock;
    if (dev && wait)
        device_wait(dev, wait * 1000);
    return dev;
}

bool tee_sim_state_given(const char *state, struct error *err)
{
    if (state)
        return true;
    error_set(err, RC_USAGE, "--state DIR is missing: state folder");
    return error_hint(err, "--help shows examples");
}

#define EXAMPLES(...)                                                                              \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const struct applet_command commands[] = {
    {"init",
     "Make a device",
     {.uses = USES_KEYS | USES_NOW | USES_PROFILE | USES_JSON,
      .options = tee_init_options,
      .size = sizeof(struct tee_init),
      .run = tee_init_run,
      .examples = EXAMPLES(
          "otrp tee-sim init --state device --pki pki",
          "otrp tee-sim init --state small --pki pki --no-tfw --max-sds 2 --max-tas 4",
          "otrp tee-sim init --state fleet --pki pki --count 100 --alg ec-p256")}},
    {"process",
     "Give the device a request; its answer goes to standard output",
     {.uses = USES_NOW | USES_FORCE | USES_JSON,
      .options = tee_run_options,
      .size = sizeof(struct tee_run),
      .run = tee_run_run,
      .examples = EXAMPLES(
          "otrp tee-sim process --state device gds.json > state.json",
          "otrp make-request get-device-state --pki pki | otrp tee-sim process -s device")}},
    {"answer",
     "Write the last answer again",
     {.uses = USES_FORCE,
      .options = tee_again_options,
      .size = sizeof(struct tee_again),
      .run = tee_again_run,
      .examples = EXAMPLES("otrp tee-sim answer --state device -o state.json",
                           "otrp tee-sim answer --state device --tamid mytam | jq .")}},
    {"serve",
     "Be a device behind HTTP: a request is posted, the answer comes back",
     {.uses = USES_NOW | USES_JSON,
      .options = tee_serve_options,
      .size = sizeof(struct tee_serve),
      .run = tee_serve_run,
      .examples = EXAMPLES("otrp tee-sim serve --state device",
                           "otrp tee-sim serve --state fleet --listen 127.0.0.1:8090",
                           "otrp tee-sim serve --state device --fault slow:2 --fault signature")}},
    {"query",
     "Ask for information about a TA, as a client application does",
     {.uses = USES_FORCE | USES_JSON,
      .options = tee_ask_options,
      .size = sizeof(struct tee_ask),
      .run = tee_ask_run,
      .examples = EXAMPLES(
          "otrp tee-sim query --state device --spid xbank --taid demo",
          "otrp make-request ta-query --spid xbank --taid demo | otrp tee-sim query -s device -")}},
    {"show",
     "Show what the device holds",
     {.uses = USES_JSON,
      .options = tee_show_options,
      .size = sizeof(struct tee_look),
      .run = tee_show_run,
      .examples = EXAMPLES("otrp tee-sim show --state device",
                           "otrp tee-sim show --state device --json")}},
    {"export-ta",
     "Write the bytes of an installed TA",
     {.uses = USES_FORCE,
      .options = tee_export_options,
      .size = sizeof(struct tee_export),
      .run = tee_export_run,
      .examples = EXAMPLES(
          "otrp tee-sim export-ta --state device --taid demo -o ta.bin",
          "otrp tee-sim export-ta --state device --taid demo --pdata | sha256sum")}},
    {"export-aik",
     "Write the public half of an SP AIK",
     {.uses = USES_FORCE,
      .options = tee_export_aik_options,
      .size = sizeof(struct tee_export_aik),
      .run = tee_export_aik_run,
      .examples = EXAMPLES(
          "otrp tee-sim export-aik --state device -o aik.jwk",
          "otrp tee-sim export-aik --state device --spid xbank | otrp jwk --thumbprint")}},
    {"reset",
     "Empty the device",
     {.uses = 0,
      .options = tee_reset_options,
      .size = sizeof(struct tee_look),
      .run = tee_reset_run,
      .examples = EXAMPLES("otrp tee-sim reset --state device",
                           "otrp tee-sim reset --state device --device mytee")}},
    {NULL, NULL, {0}},
};

const struct applet applet_tee_sim = {.commands = commands};
