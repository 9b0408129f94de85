package alerts

import "zhijiao/geofence"

// catalogue is what is said of each kind, in both languages: {zone} {at} are filled in.
var catalogue = map[geofence.ViolationKind]Place{
	geofence.LeftZone:        {"{at} 离开{zone}", "left {zone} at {at}"},
	geofence.EnteredZone:     {"{at} 进入禁止令限制区域{zone}", "entered the prohibited place {zone} at {at}"},
	geofence.PassedThrough:   {"{at} 途经禁止令限制区域{zone}", "passed through the prohibited place {zone} at {at}"},
	geofence.DeviceSilent:    {"设备自 {at} 起无数据（设备离线，人员位置不明）", "device silent since {at}; where the person is, is not known"},
	geofence.CheckUnanswered: {"{at} 前未应答核查", "did not answer a check by {at}"},
}
