// What:    which head follows the layers of a config.json: `architectures` names the class, and the class decides.
//          A class that is not known (draft heads read two hidden states, reward models of remote code have heads of
//          their own) is refused by name: as a causal language model it would get the price of another model.
// Rules:   without `architectures` it is the family's causal language model, as everywhere. What lies beside the
//          config (modules.json of sentence-transformers) comes first: embedding models are published under the name
//          of the causal class, without its LM head.
// Errors:  BadInput naming the class and those that are known.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "harness/plan/family.h"

namespace layercost {

// `architecture` comes before what the config says; "": nothing was said. Uses path, name and vocab of the model, and
// adds to its notes.
HeadSpec read_head(const JsonNode& config, const Family&, const std::string& architecture, bool of_multimodal,
                   ModelSpec&);

}  // namespace layercost
