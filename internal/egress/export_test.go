package egress

// CheckPublic is checkPublic: in a test no public address can be dialled.
var CheckPublic = checkPublic
