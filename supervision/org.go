package supervision

import "zhijiao/internal/id"

// OrgKind is what a node of the organisation is. What each may decide is delegation, not its place in the tree.
type OrgKind string

const (
	ProvinceDepartment OrgKind = "province_department" // 省司法厅
	ProvinceAgency     OrgKind = "province_agency"     // 省社区矫正机构
	CountyDepartment   OrgKind = "county_department"   // 市司法局: the county-level 司法行政部门
	CountyAgency       OrgKind = "county_agency"       // 市社区矫正机构
	Squadron           OrgKind = "squadron"            // 中队
	JudicialOffice     OrgKind = "judicial_office"     // 司法所
	SocialOrganisation OrgKind = "social_organisation" // 社会组织
)

// Org is 机构: a node of the organisation tree.
type Org struct {
	ID        id.Org
	Parent    id.Org // 0 for a root
	Kind      OrgKind
	Name      string
	ShortName string     // 岳口, as it stands in 李某某·岳口·0417
	Code      string     // administrative code; empty where there is none
	Lon, Lat  *float64   // WGS-84, for the map; nil where not known
	By        id.Account // who put it; 0: a command
}

// OfficerKind decides which acts are open to an officer.
type OfficerKind string

const (
	Enforcement    OfficerKind = "enforcement"     // 执法人员
	SecondedPolice OfficerKind = "seconded_police" // 选派民警
	SocialWorker   OfficerKind = "social_worker"   // 社会工作者
	Auxiliary      OfficerKind = "auxiliary"       // 辅助人员
)

// Officer is 工作人员.
type Officer struct {
	ID   id.Officer
	Org  id.Org
	Name string
	Kind OfficerKind
	// CountyHead is the duty of the head of the county-level 司法行政部门, who approves electronic positioning
	// (社区矫正法 29). It counts only in an organisation of kind CountyDepartment.
	CountyHead   bool
	JuvenileTeam bool       // 未成年社区矫正小组 (社区矫正法 52)
	By           id.Account // who put it; 0: a command
}
