// Memory with secrets in it stays out of core files.
#pragma once

namespace millrace::base {

// From now on a crash of this process, or of one that it starts, leaves no core: not in a file, and not with
// a program that core_pattern(5) names, which a limit of 0 would not stop but 1 byte does. The hard limit
// stays, so who wants one can raise it again; a debugger can be attached as before.
void refuse_core_dumps();

}  // namespace millrace::base
