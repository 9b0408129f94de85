package alerts

import "zhijiao/geofence"

// catalogue is what is said of each kind, in both languages: {zone} {at} are filled in.
var catalogue = map[geofence.ViolationKind]Place{
	geofence.LeftZone:        {"{at} 离开{zone}", "left {zone} at {at}"},
	geofence.EnteredZone:     {"{at} 进入禁止令限制区域{zone}", "entered the prohibited place {zone} at {at}"},
	geofence.PassedThrough:   {"{at} 途经禁止令限制区域{zone}", "passed through the prohibited place {zone} at {at}"},
	geofence.DeviceSilent:    {"设备自 {at} 起无数据（设备离线，人员位置不明）", "device silent since {at}; where the person is, is not known"},
	geofence.StrapBroken:     {"{at} 腕带被拆卸或打开（人员位置无法核实）", "strap or case opened at {at}; where the person is cannot be verified"},
	geofence.LowBattery:      {"{at} 设备电量低", "device battery low at {at}"},
	geofence.PowerLost:       {"{at} 设备断电（人员位置不明）", "device went off at {at}; where the person is, is not known"},
	geofence.LocationLost:    {"设备自 {at} 起定位失败（设备在线，人员位置不明）", "device heard but without a place since {at}"},
	geofence.Apart:           {"{at} 起腕带与手机分离（疑似人机分离）", "wristband and phone apart since {at}"},
	geofence.StayedElsewhere: {"批准外出期间，{at} 起停留于批准目的地以外", "on approved leave, has stayed outside of its destination since {at}"},
	geofence.NotReturned:     {"批准外出于 {at} 期满，尚未销假", "approved leave ended at {at}; not back yet"},
	geofence.Dwelt:           {"{at} 起长时间停留于{zone}", "has stayed in {zone} since {at}"},
	geofence.Absent:          {"{at} 时段开始后未在{zone}", "not in {zone} in the window that began at {at}"},
	geofence.Unverified:      {"{at} 起无法核实是否在{zone}", "could not be verified to be in {zone} since {at}"},
	geofence.Near:            {"{at} 起接近不得接触的人", "near a person to keep away from since {at}"},
	geofence.Gathered:        {"{at} 起与他人聚集", "gathering with others since {at}"},
	geofence.CheckMissed:     {"{at} 前的时段内未核查", "did not check in during the window that ended at {at}"},
	geofence.CheckUnanswered: {"{at} 前未应答核查", "did not answer a check by {at}"},
}
