// One synthetic production .blend with something of everything, in any form, for the .blend tests.
#pragma once

#include <string>

#include "tests/workloads/scan/blend_writer.h"
#include "workloads/scan/blend_facts.h"

namespace millrace::scan {

// The content, uncompressed. `mesh_bytes` of vertex data are in one block.
std::string blend_sample(BlendForm form, size_t mesh_bytes = 100'000);
// The writer with all structures of the sample defined and no block yet.
BlendWriter blend_sample_writer(BlendForm form);
// What read_blend must say of it, in every form; compression and form are checked by this too.
void expect_sample_facts(const BlendFacts& facts, const BlendForm& form);

}  // namespace millrace::scan
