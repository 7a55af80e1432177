package app

import "gatehouse/internal/admin"

// SettingGroups is the configuration as the console shows it.
func SettingGroups(c *Config) []admin.SettingGroup { return c.groups() }
