// Package jt808 takes in terminals that speak JT/T 808 (道路运输车辆卫星定位系统终端通讯协议) of 2011, 2013 or 2019 over TCP. The codec
// is pure: bytes to values and back. The gateway beside it holds the connections, authenticates each terminal against the
// registry, translates what it says into the JSON wire and publishes that to the broker.
//
// It promises that a terminal is told "success" only after the broker has acknowledged what it said, that a terminal speaks
// for itself alone, and that whatever a terminal sends costs memory in proportion to its bytes.
package jt808
