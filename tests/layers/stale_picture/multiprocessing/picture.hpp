// A picture of something that the code no longer has:
//   Caller --> RenamedSince
class StillHere {};
